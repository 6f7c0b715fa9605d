"""The code that a shopper reads to a shop's support: short, hard to misread, and found again without a table.

It is the end of the run's id: the last seven characters of the ULID (35 bits, all but three of them random) and one
that checks them, in Crockford's base 32 (Douglas Crockford, "Base 32": no I, L, O or U, and what looks like a digit is
read as one). The check character is a remainder over GF(32), so it finds every wrong character and every two
neighbours that changed places.
"""

from uuid import UUID

from core.ids import parse_id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 7
BITS = 5 * LENGTH
HEX_DIGITS = -(-BITS // 4)
SEPARATORS = str.maketrans("", "", "-–— \t")
LOOKALIKES = str.maketrans("OIL", "011")


def reference_of(run_id: UUID) -> str:
    """A run's reference code, as `7K3M-9QX2`."""
    code = str(parse_id(run_id))[-LENGTH:]
    code += _check(code)
    return f"{code[:4]}-{code[4:]}"


def read_reference(text: str) -> int | None:
    """The end of the id (35 bits) that a typed or pasted code stands for; None where it is no code, or a wrong one."""
    code = text.translate(SEPARATORS).upper().translate(LOOKALIKES)
    if len(code) != LENGTH + 1 or any(letter not in ALPHABET for letter in code) or _check(code[:-1]) != code[-1]:
        return None
    return id_end(code[:-1])


def id_end(code: str) -> int:
    """The number that the last seven characters of a ULID stand for.

    Raises:
        ValueError: another character than Crockford's.
    """
    value = 0
    for letter in code:
        value = value << 5 | ALPHABET.index(letter)
    return value


def hex_ends(end: int) -> list[str]:
    """How the hexadecimal form of an id with this end may end: its last nine digits hold one bit more."""
    return [f"{end | high << BITS:0{HEX_DIGITS}x}" for high in range(1 << (4 * HEX_DIGITS - BITS))]


def _check(code: str) -> str:
    """The remainder of the code as a polynomial over GF(32), at the generator of x^5 + x^2 + 1."""
    value = 0
    for letter in code:
        value = _times_x(value ^ ALPHABET.index(letter))
    return ALPHABET[value]


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ 0b100101 if value & 0b100000 else value
