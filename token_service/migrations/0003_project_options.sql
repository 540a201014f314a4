-- What a project's general contractor chose, as JSON, so that a further option needs no migration.
-- The workers are told of a change like of any other change of the connection.
SET lock_timeout = '5s';

ALTER TABLE authority.connections ADD COLUMN options jsonb NOT NULL DEFAULT '{}';

DROP TRIGGER connection_changed ON authority.connections;
CREATE TRIGGER connection_changed BEFORE UPDATE ON authority.connections
    FOR EACH ROW WHEN (
        (OLD.state, OLD.procore_company_id, OLD.procore_project_id, OLD.owner_user_id,
         OLD.generation, OLD.options)
        IS DISTINCT FROM
        (NEW.state, NEW.procore_company_id, NEW.procore_project_id, NEW.owner_user_id,
         NEW.generation, NEW.options)
    ) EXECUTE FUNCTION authority.number_connection_change();
