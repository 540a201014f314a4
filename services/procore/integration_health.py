"""Our own count of what Procore's *Integration Health* report observes of an app.

Seven things, each 0 for an app in health. Source: Procore's documentation,
`api_essentials/integration_health.md`: 401, repeated 403, 404, 429, calls without the company
header, on deprecated endpoints, and on private or undocumented ones.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

OBSERVATIONS = (
    "unauthorized",
    "forbidden_again",
    "not_found",
    "rate_limited",
    "no_company_header",
    "deprecated",
    "undocumented",
)
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 401, 403, 404, 429
MOST_REMEMBERED = 1_000

# What our programs call, as schemas/contracts/procore.openapi.yaml has it.
DOCUMENTED = re.compile(
    r"/rest/(?:v1\.0/projects/[^/]+/rfis(?:/[^/]+(?:/replies(?:/[^/]+)?)?)?"
    r"|v1\.1/projects/[^/]+/submittals(?:/[^/]+(?:/workflow_data|/revisions)?)?"
    r"|v1\.1/projects/[^/]+/uploads(?:/[^/]+)?"
    r"|v1\.0/submittal_(?:responses|approvers/[^/]+)"
    r"|v1\.0/settings/permissions|v1\.0/projects/[^/]+/users(?:/[^/]+)?"
    r"|v1\.0/me|v1\.0/companies|v1\.1/projects"
    r"|v2\.0/companies/[^/]+/projects/[^/]+/webhooks/(?:resources"
    r"|hooks(?:/[^/]+(?:/deliveries|/triggers(?:/[^/]+)?)?)?))"
    r"|/oauth/(?:token|revoke)"
)
DEPRECATED = re.compile(
    r"/rest/v1\.0/webhooks/|/rest/v1\.0/projects/[^/]+/(?:submittals|uploads)\b"
)
WITHOUT_COMPANY = re.compile(r"/rest/v1\.0/(?:me|companies)|/oauth/.*")
"""What a person's token may call, or the app itself, without naming a company."""

ENDPOINTS = ("/rest/", "/oauth/")
"""Below these lie Procore's endpoints; elsewhere only what it named itself, as a file's address."""


@dataclass(slots=True)
class IntegrationHealth:
    """Sorts calls into the seven observations."""

    count: Callable[[str], None]
    _forbidden: set[tuple[str, str, str]] = field(default_factory=set)

    def note(self, method: str, path: str, whose: str, company_id: str | None, status: int) -> None:
        """Count what one call adds; a good one adds nothing."""
        for observation in self._observed(method, path, whose, company_id, status):
            self.count(observation)

    def _observed(
        self, method: str, path: str, whose: str, company_id: str | None, status: int
    ) -> Iterator[str]:
        if status == UNAUTHORIZED:
            yield "unauthorized"
        if status == NOT_FOUND:
            yield "not_found"
        if status == TOO_MANY:
            yield "rate_limited"
        if not company_id and WITHOUT_COMPANY.fullmatch(path) is None:
            yield "no_company_header"
        if DEPRECATED.match(path):
            yield "deprecated"
        elif path.startswith(ENDPOINTS) and DOCUMENTED.fullmatch(path) is None:
            yield "undocumented"
        key = (method, path, whose)
        if status != FORBIDDEN:
            self._forbidden.discard(key)
        elif key in self._forbidden:
            yield "forbidden_again"
        else:
            if len(self._forbidden) >= MOST_REMEMBERED:
                self._forbidden.clear()
            self._forbidden.add(key)
