"""Every error this project raises.

    AIAgentError
    ├── ConfigurationError          a setting is missing or out of bounds
    ├── DatabaseError
    │   ├── DatabaseUnavailable     no connection, or it was lost
    │   ├── StatementTimeout        PostgreSQL's statement_timeout ended a statement
    │   └── UnsafeRole              the role would see past row-level security
    ├── MigrationError              the schema cannot be brought up to date
    ├── AccessError
    │   ├── Unauthenticated         no credential, or one that does not hold
    │   ├── SigningKeysUnavailable  tokens cannot be checked: their public keys cannot be read
    │   └── Forbidden               the credential lacks the scope
    ├── RequestError
    │   ├── InvalidQuery            a question without a letter or digit
    │   ├── InvalidRecord           a record's text that cannot be stored
    │   ├── PromptInjectionError    the guard refuses the question
    │   └── RecordNotFound          no such record in this workspace
    ├── DeadlineExceeded            the request's own time ran out
    ├── Overloaded                  more questions at once than this replica takes
    ├── ActorUnavailable            a Ray actor or replica died or did not answer
    ├── EmbeddingError              a text could not be embedded
    ├── RetrievalError              passages could not be searched
    ├── ChatError                   no answer could be written
    └── ProviderError               a vendor's call failed
        ├── RateLimitError          the vendor asks us to slow down
        ├── QuotaExceededError      the account's quota or credit is used up
        ├── ProviderTimeout         no answer in time
        ├── ProviderUnavailable     connection failed, or a 5xx
        ├── CircuitOpen             the circuit breaker sends nothing to this vendor for now
        ├── ProviderRejected        the vendor refuses our request or our key
        ├── ContentRefused          the model or its filter declines to answer
        └── BadProviderResponse     an answer that is not what was asked for

Errors cross processes by pickle, so every argument is positional, required, and passed to
`super().__init__`; the text is built in `__str__` and never holds content of a question,
a record or an answer, nor a vendor's message. Their HTTP statuses stand in
`deployments/problems.py` alone.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Operation = Literal["embed", "chat", "rerank"]


class AIAgentError(Exception):
    """Root of the tree; catch it to catch all that we raise on purpose."""


# --- Configuration and database -------------------------------------------------------------


class ConfigurationError(AIAgentError):
    """A setting that cannot be used: its name, what is wrong with it, and how to mend it."""

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        super().__init__(name, reason, remedy)
        self.name = name
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.reason} {self.remedy}"


class DatabaseError(AIAgentError):
    """The database did not do what was asked. `reason` is for operators and holds no content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class DatabaseUnavailable(DatabaseError):
    """No connection could be made, or the one in use was lost."""


class StatementTimeout(DatabaseError):
    """PostgreSQL ended a statement at `statement_timeout`."""


class UnsafeRole(DatabaseError):
    """The connection's role owns tables or bypasses row-level security, so we will not serve."""


class MigrationError(AIAgentError):
    """The schema cannot be brought up to date; `reason` says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


# --- Access ---------------------------------------------------------------------------------


class AccessError(AIAgentError):
    """The caller may not do this. `reason` names the fault, never the credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Unauthenticated(AccessError):
    """No credential, or one that is malformed, expired, revoked or not signed by us."""


class SigningKeysUnavailable(AccessError):
    """Nobody is at fault who asks: the public keys that sign tokens cannot be read just now."""


class Forbidden(AccessError):
    """A good credential without the scope that the route needs."""


# --- Requests -------------------------------------------------------------------------------


class RequestError(AIAgentError):
    """The request itself is at fault; sending it again unchanged will fail again."""


class InvalidQuery(RequestError):
    """No letter or digit is in the question: it is empty, or white space and signs alone."""

    def __str__(self) -> str:
        return "The question is empty. Please type a question and send it again."


class InvalidRecord(RequestError):
    """A record that cannot be stored: which field, and why. Holds none of its text."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class PromptInjectionError(RequestError):
    """The guard refuses the question. `kind` names the matched family, for logs and metrics."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return (
            "The question looks like an instruction to the assistant rather than a question about "
            "your records. Please rephrase it as a question about a client or a session."
        )


class RecordNotFound(RequestError):
    """No such record in this workspace (another workspace's is the same answer)."""

    def __init__(self, record_type: str) -> None:
        super().__init__(record_type)
        self.record_type = record_type

    def __str__(self) -> str:
        return f"There is no such {self.record_type} in this workspace."


# --- Time and load --------------------------------------------------------------------------


class DeadlineExceeded(AIAgentError):
    """The request's own deadline passed before an answer was ready."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage

    def __str__(self) -> str:
        return "The answer was not ready in time. Please try again in a moment."


class Overloaded(AIAgentError):
    """This replica already holds as many questions as it takes."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return "Too many questions are being answered right now. Please try again in a moment."


class ActorUnavailable(AIAgentError):
    """A Ray actor or replica died, was restarting, or did not answer in time."""

    def __init__(self, actor: str, reason: str) -> None:
        super().__init__(actor, reason)
        self.actor = actor
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.actor}: {self.reason}"


# --- The three stages -----------------------------------------------------------------------


class EmbeddingError(AIAgentError):
    """A text could not be turned into a vector. `reason` is for operators."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RetrievalError(AIAgentError):
    """Passages could not be searched. `reason` is for operators."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class ChatError(AIAgentError):
    """No answer could be written. `reason` is for operators."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


# --- Providers ------------------------------------------------------------------------------


class ProviderError(AIAgentError):
    """A vendor's call failed.

    `reason` names the fault in our words (an HTTP status, an exception's class), never the
    vendor's text, which may quote the prompt. `retry_after_s` is the vendor's own wish, or None.
    """

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed when made again."""

    def __init__(
        self,
        provider: str,
        model: str,
        operation: Operation,
        reason: str,
        retry_after_s: float | None,
    ) -> None:
        super().__init__(provider, model, operation, reason, retry_after_s)
        self.provider = provider
        self.model = model
        self.operation: Operation = operation
        self.reason = reason
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.provider} {self.operation} ({self.model}): {self.reason}"


class RateLimitError(ProviderError):
    """The vendor asks us to slow down (HTTP 429)."""

    retryable: ClassVar[bool] = True


class QuotaExceededError(ProviderError):
    """The account's quota or credit is used up; waiting does not help."""


class ProviderTimeout(ProviderError):
    """No answer within the time allowed to connect, to write or to read."""

    retryable: ClassVar[bool] = True


class ProviderUnavailable(ProviderError):
    """The connection failed, or the vendor answered with a server error."""

    retryable: ClassVar[bool] = True


class CircuitOpen(ProviderError):
    """Nothing was sent: the vendor failed too often of late. `retry_after_s` is never None."""


class ProviderRejected(ProviderError):
    """The vendor refuses the request: a bad key, a bad model, or a request it finds invalid."""


class ContentRefused(ProviderError):
    """The model, or a filter before it, declines to answer this prompt; another model may."""


class BadProviderResponse(ProviderError):
    """An answer that is not what was asked for: malformed, truncated, or of a wrong length."""

    retryable: ClassVar[bool] = True
