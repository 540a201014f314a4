-- Who confirmed that a burst of removals in Procore is meant, and of what was found until when. The
-- workers are told of it like of any other change of the connection.
SET lock_timeout = '5s';

ALTER TABLE authority.connections ADD COLUMN removals_confirmed jsonb;

DROP TRIGGER connection_changed ON authority.connections;
CREATE TRIGGER connection_changed BEFORE UPDATE ON authority.connections
    FOR EACH ROW WHEN (
        (OLD.state, OLD.procore_company_id, OLD.procore_project_id, OLD.owner_user_id,
         OLD.generation, OLD.options, OLD.removals_confirmed)
        IS DISTINCT FROM
        (NEW.state, NEW.procore_company_id, NEW.procore_project_id, NEW.owner_user_id,
         NEW.generation, NEW.options, NEW.removals_confirmed)
    ) EXECUTE FUNCTION authority.number_connection_change();
