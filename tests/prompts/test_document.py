"""Prompt files: header, roles, and edits that say less than a whole file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompts.document import complete, parse_document, split_roles
from prompts.errors import (
    PromptError,
    PromptHeaderInvalid,
    PromptInputInvalid,
    PromptParamsInvalid,
    PromptSyntaxInvalid,
    PromptTooLarge,
)
from prompts.template import Block
from tests.prompts.samples import SMALL


def test_a_file_is_split_into_header_and_roles() -> None:
    document = parse_document(SMALL)
    assert document.ir_schema == "stage:facts"
    assert document.params == {"tone": "plain"}
    assert [(block.role, block.template) for block in document.blocks] == [
        ("system", "Be {{ params.tone }}."),
        ("user", "Title: {{ title | quote }}"),
    ]
    assert document.fill({"title": "Lamp"}).text == '<<system>>\nBe plain.\n\n<<user>>\nTitle: "Lamp"'


def test_params_that_are_not_set_are_null_in_the_template() -> None:
    text = SMALL.replace("Be {{ params.tone }}.", "{% if params.length %}long{% else %}any{% endif %}")
    assert parse_document(text).fill({"title": "x"}).messages[0].text == "any"


def test_params_of_one_call_go_over_the_prompts_own() -> None:
    document = parse_document(SMALL)
    rendered = document.fill({"title": "x"}, {"tone": "warm", "unknown": 1})
    assert rendered.messages[0].text == "Be warm."
    assert document.fill({"title": "x"}).messages[0].text == "Be plain."


@pytest.mark.parametrize(
    ("old", "new", "error", "why"),
    [
        ("description: A small prompt.\n", "", PromptHeaderInvalid, "lacks `description`"),
        ("description: A small prompt.\n", "description: ''\n", PromptHeaderInvalid, "sentence"),
        ("description:", "descripton:", PromptHeaderInvalid, "unknown keys: `descripton`"),
        ("stage:facts", "facts", PromptHeaderInvalid, "target such as"),
        ("params: {tone: plain}", "params: [tone]", PromptHeaderInvalid, "`params` has to be an object"),
        ("params: {tone: plain}", "params: {tone: loud}", PromptParamsInvalid, "tone has to be one of plain, warm"),
        ("params: {tone: plain}", "params: {ton: plain}", PromptParamsInvalid, "unknown names: ton"),
        ("params: {tone: plain}", "params: !!python/object:os.system {}", PromptHeaderInvalid, "not plain YAML"),
        ("params: {tone: plain}", "params: &a {tone: plain}\nexample: *a", PromptHeaderInvalid, "aliases"),
        ("params: {tone: plain}", "params: {tone: 2026-01-01}", PromptHeaderInvalid, "not plain YAML"),
        ("params: {tone: plain}", "params: {tone: [}", PromptHeaderInvalid, "not plain YAML"),
        ("required: [title]", "required: title", PromptHeaderInvalid, "not a JSON Schema"),
        (
            "input:\n  type: object\n  additionalProperties: false",
            "input:\n  type: object",
            PromptHeaderInvalid,
            "false",
        ),
        ("example: {title: Oak chair}", "example: {}", PromptInputInvalid, "lacks title"),
        ("{{ title | quote }}", "{{ titel | quote }}", PromptInputInvalid, "uses `titel`"),
        ("<<system>>", "<<sytem>>", PromptSyntaxInvalid, "'sytem' does not exist"),
        ("<<system>>", "Hello\n<<system>>", PromptSyntaxInvalid, "before the first role line"),
        ("Title: {{ title | quote }}\n", "\n", PromptSyntaxInvalid, "user message is empty"),
        ("---\n<<system>>", "<<system>>", PromptHeaderInvalid, "no closing"),
    ],
)
def test_a_broken_file_is_refused_with_a_sentence(old: str, new: str, error: type[PromptError], why: str) -> None:
    assert old in SMALL
    with pytest.raises(error, match=why):
        parse_document(SMALL.replace(old, new))


def test_a_problem_in_the_template_names_the_line_of_the_file() -> None:
    with pytest.raises(PromptError, match="Line 19: Mul"):
        parse_document(SMALL.replace("Title: {{ title | quote }}", "{{ title * 9 }}"))


def test_a_file_over_64_kib_is_refused() -> None:
    with pytest.raises(PromptTooLarge):
        parse_document(SMALL + "x" * 65_536)


def test_input_is_checked_before_anything_is_filled_in() -> None:
    document = parse_document(SMALL)
    with pytest.raises(PromptInputInvalid, match="title has to be string, not a number"):
        document.fill({"title": 4})
    with pytest.raises(PromptInputInvalid, match="unknown names: extra"):
        document.fill({"title": "x", "extra": 1})
    with pytest.raises(PromptInputInvalid, match="not plain JSON"):
        document.fill({"title": float("nan")})


def test_an_input_problem_never_repeats_the_value() -> None:
    with pytest.raises(PromptInputInvalid) as caught:
        parse_document(SMALL).fill({"title": ["secret-words"]})
    assert "secret" not in caught.value.message
    assert caught.value.details == {"problems": ["title has to be string, not a list."]}


def test_text_without_a_role_line_is_one_user_message() -> None:
    assert split_roles("\nHello\nthere\n") == (Block("user", "Hello\nthere", 2),)


def test_a_whole_file_is_kept_as_it_is() -> None:
    base = parse_document(SMALL)
    edited = SMALL.replace("Title:", "Name:") + "\n# trailing\n"
    assert complete(base, edited) == edited
    assert complete(base, edited.replace("\n", "\r\n")) == edited


def test_params_alone_keep_the_messages() -> None:
    document = parse_document(complete(parse_document(SMALL), "---\nparams: {length: 3}\n---\n"))
    assert document.params == {"tone": "plain", "length": 3}
    assert document.blocks == tuple(
        Block(block.role, block.template, line=after.line)
        for block, after in zip(parse_document(SMALL).blocks, document.blocks, strict=True)
    )


def test_messages_alone_keep_the_header() -> None:
    document = parse_document(complete(parse_document(SMALL), "<<user>>\nOnly {{ title }}"))
    assert [block.role for block in document.blocks] == ["user"]
    assert document.params == {"tone": "plain"}


def test_plain_text_replaces_the_user_message_only() -> None:
    document = parse_document(complete(parse_document(SMALL), "Only {{ title }}"))
    assert [block.template for block in document.blocks] == ["Be {{ params.tone }}.", "Only {{ title }}"]


def test_an_edit_cannot_change_what_code_relies_on() -> None:
    for edit in ("input: {type: object}", "ir_schema: stage:other", "params_schema: {}"):
        with pytest.raises(PromptHeaderInvalid, match="has to stay"):
            complete(parse_document(SMALL), f"---\n{edit}\n---\nText")


@pytest.mark.parametrize("edit", ["", "  \n", "---\n---\n"])
def test_an_empty_edit_is_refused(edit: str) -> None:
    with pytest.raises(PromptSyntaxInvalid, match="no text"):
        complete(parse_document(SMALL), edit)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("-<>|:{}[]&*!%#@ \n\rabusersystem'\"\\\x00é"), max_size=80))
def test_any_edit_is_either_a_prompt_or_a_prompt_error(edit: str) -> None:
    try:
        assert parse_document(complete(parse_document(SMALL), edit)).blocks
    except PromptError as error:
        assert error.code.startswith("prompt_")
