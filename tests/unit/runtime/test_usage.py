from __future__ import annotations

from runtime.messages import (
    ChatDocument,
    ChatMessage,
    ChatReply,
    ChatRequest,
    TextDelta,
    UsageSoFar,
)
from runtime.splitting import estimate_tokens
from runtime.usage import CountedTokens, TokenCount, estimate_prompt_tokens

REQUEST = ChatRequest(
    system="Answer from the records.",
    messages=(ChatMessage("assistant", "Hello."), ChatMessage("user", "How does she sleep?")),
    documents=(ChatDocument(1, "Noa, intake", "She sleeps well."),),
    language="en",
)
PROMPT_TOKENS = estimate_prompt_tokens(REQUEST)


def test_a_prompt_counts_with_its_rules_its_history_and_its_documents() -> None:
    texts = ["Answer from the records.", "Hello.", "How does she sleep?"]
    texts += ["Noa, intake", "She sleeps well."]
    assert sum(map(estimate_tokens, texts)) == PROMPT_TOKENS


def test_what_the_vendor_reports_is_taken_as_it_is() -> None:
    count = TokenCount(REQUEST)
    for event in (UsageSoFar(90, 1), TextDelta("Well."), ChatReply("Well.", "p", "m", 91, 5)):
        count.add(event)
    assert count.total() == CountedTokens(91, 5, estimated=False)


def test_nothing_reported_is_estimated_from_the_prompt_and_the_text_that_came() -> None:
    count = TokenCount(REQUEST)
    count.add(TextDelta("She sle"))
    count.add(TextDelta("eps well."))
    tokens = estimate_tokens("She sleeps well.")
    assert count.total() == CountedTokens(PROMPT_TOKENS, tokens, estimated=True)


def test_text_after_the_last_report_is_added_by_estimate() -> None:
    count = TokenCount(REQUEST)
    for event in (TextDelta("She"), UsageSoFar(90, 3), TextDelta(" sleeps well")):
        count.add(event)
    tokens = 3 + estimate_tokens(" sleeps well")
    assert count.total() == CountedTokens(90, tokens, estimated=True)


def test_a_stream_that_ended_right_after_a_report_is_not_estimated() -> None:
    count = TokenCount(REQUEST)
    for event in (TextDelta("She"), UsageSoFar(90, 3)):
        count.add(event)
    assert count.total() == CountedTokens(90, 3, estimated=False)


def test_a_whole_reply_without_tokens_is_estimated() -> None:
    count = TokenCount(REQUEST)
    count.add(ChatReply("She sleeps well.", "p", "m", 0, 0))
    tokens = estimate_tokens("She sleeps well.")
    assert count.total() == CountedTokens(PROMPT_TOKENS, tokens, estimated=True)


def test_a_streams_text_is_not_counted_again_with_its_reply() -> None:
    count = TokenCount(REQUEST)
    for event in (TextDelta("She sleeps well."), ChatReply("She sleeps well.", "p", "m", 90, 0)):
        count.add(event)
    assert count.total() == CountedTokens(90, estimate_tokens("She sleeps well."), estimated=True)
