"""What connects a project in the tests of connections and of their hooks."""

from dataclasses import replace

from tests.token_service.procore_api_host import PROJECT_ID, ProcoreHost
from token_service.public.ports import Order


def order(project_id: str = "p-1", **changed: str) -> Order:
    made = Order(
        project_id=project_id,
        project_name=f"Project {project_id}",
        procore_company_id="11",
        procore_company_name="Builders & Sons",
        procore_project_id=PROJECT_ID,
        procore_project_name="Tower",
        owner_user_id="anna",
        owner_name="Anna",
        once=f"once-{project_id}-0123456789",
    )
    return replace(made, **changed)


def posts(procore: ProcoreHost) -> int:
    return sum(call[0] == "POST" and call[1].endswith("/hooks") for call in procore.calls)
