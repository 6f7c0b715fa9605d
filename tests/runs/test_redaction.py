"""What is never stored: secrets and thinking."""

from hypothesis import given
from hypothesis import strategies as st

from runs.redaction import REDACTED, redact_secrets, remove_thinking

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_secrets_go_by_the_name_of_their_key_and_by_their_shape() -> None:
    value = {
        "headers": {"Authorization": "Bearer abcdefghijklmnop", "x-goog-api-key": "k", "accept": "json"},
        "response": {"openai-organization": "org-1", "openai-version": "2020-10-01"},
        "text": "my key is sk-abcdefghijklmnopqrstuv and that is it",
        "tokens": 12,
    }
    clean = redact_secrets(value)
    assert clean["headers"] == {"Authorization": REDACTED, "x-goog-api-key": REDACTED, "accept": "json"}
    assert clean["response"] == {"openai-organization": REDACTED, "openai-version": "2020-10-01"}
    assert "sk-" not in clean["text"] and clean["text"].startswith("my key is")
    assert clean["tokens"] == 12


def test_thinking_parts_of_every_vendors_shape_are_removed_and_it_says_so() -> None:
    gemini = {"parts": [{"text": "let me see", "thought": True}, {"text": "42"}]}
    openai = {"message": {"content": "42", "reasoning_content": "let me see"}}
    blocks = {"content": [{"type": "thinking", "thinking": "let me see"}, {"type": "text", "text": "42"}]}
    for value in (gemini, openai, blocks):
        clean, removed = remove_thinking(value)
        assert removed and "let me see" not in str(clean) and "42" in str(clean)


@given(JSON)
def test_a_value_without_either_is_left_as_it_is(value: object) -> None:
    clean, removed = remove_thinking(value)
    assert clean == value or removed
