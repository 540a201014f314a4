-- When what a project's parties agreed on about dispositions last changed: the workers are told of
-- it like of any other change of the connection, so that what waited for it goes on at once.
SET lock_timeout = '5s';

ALTER TABLE authority.connections ADD COLUMN agreed_at timestamptz;

DROP TRIGGER connection_changed ON authority.connections;
CREATE TRIGGER connection_changed BEFORE UPDATE ON authority.connections
    FOR EACH ROW WHEN (
        (OLD.state, OLD.procore_company_id, OLD.procore_project_id, OLD.owner_user_id,
         OLD.generation, OLD.options, OLD.removals_confirmed, OLD.unlinked_at, OLD.agreed_at)
        IS DISTINCT FROM
        (NEW.state, NEW.procore_company_id, NEW.procore_project_id, NEW.owner_user_id,
         NEW.generation, NEW.options, NEW.removals_confirmed, NEW.unlinked_at, NEW.agreed_at)
    ) EXECUTE FUNCTION authority.number_connection_change();
