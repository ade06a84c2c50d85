from __future__ import annotations

from collections import Counter
from uuid import UUID

from runtime.answering.chat_chain import ChatChain
from runtime.providers.fakes import FakeChatModel

COHERE, OPENAI, LOCAL = (FakeChatModel(provider=name) for name in ("cohere", "openai", "local"))
WORKSPACES = [UUID(int=number) for number in range(1000)]


def test_without_a_trial_every_workspace_has_the_order_of_preference() -> None:
    chain = ChatChain((OPENAI, COHERE))
    assert chain.order_for(WORKSPACES[0]) == (OPENAI, COHERE)
    assert chain.arm_of(WORKSPACES[0]) is None


def test_the_arm_is_tried_first_and_the_others_stand_behind_it_in_order() -> None:
    chain = ChatChain((LOCAL, COHERE, OPENAI), split={"openai": 1})
    assert chain.arm_of(WORKSPACES[0]) == "openai"
    assert chain.order_for(WORKSPACES[0]) == (OPENAI, LOCAL, COHERE)


def test_workspaces_are_spread_by_the_weights() -> None:
    chain = ChatChain((COHERE, OPENAI), split={"cohere": 90, "openai": 10})
    arms = Counter(map(chain.arm_of, WORKSPACES))
    assert set(arms) == {"cohere", "openai"}
    assert 70 <= arms["openai"] <= 130  # of 1000; the hash is fixed, so this does not vary


def test_a_workspace_keeps_its_arm_in_every_process_and_however_the_arms_are_listed() -> None:
    one = ChatChain((COHERE, OPENAI), split={"cohere": 1, "openai": 1})
    other = ChatChain((OPENAI, COHERE), split={"openai": 1, "cohere": 1})
    assert list(map(one.arm_of, WORKSPACES)) == list(map(other.arm_of, WORKSPACES))
    first = "".join((one.arm_of(workspace) or "")[0] for workspace in WORKSPACES[:8])
    assert first == "ccocoooo"
