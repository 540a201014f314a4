-- A project that was tied to the wrong one in Procore is disconnected and, apart from that, unlinked:
-- the workers mark what came from there as removed. They are told of it as of any other change.
SET lock_timeout = '5s';

ALTER TABLE authority.connections ADD COLUMN unlinked_at timestamptz;

DROP TRIGGER connection_changed ON authority.connections;
CREATE TRIGGER connection_changed BEFORE UPDATE ON authority.connections
    FOR EACH ROW WHEN (
        (OLD.state, OLD.procore_company_id, OLD.procore_project_id, OLD.owner_user_id,
         OLD.generation, OLD.options, OLD.removals_confirmed, OLD.unlinked_at)
        IS DISTINCT FROM
        (NEW.state, NEW.procore_company_id, NEW.procore_project_id, NEW.owner_user_id,
         NEW.generation, NEW.options, NEW.removals_confirmed, NEW.unlinked_at)
    ) EXECUTE FUNCTION authority.number_connection_change();
