"""Addresses as they may be shown."""

import re


def without_passwords(text: str) -> str:
    """`text` with the passwords of its addresses blotted out: `user:***@host`, `password=***`."""
    text = re.sub(r"(://[^:/@\s]*:)\S*@", r"\1***@", text)
    return re.sub(r"([?&]\w*(?:password|passwd|token|key)=)[^&\s]+", r"\1***", text, flags=re.IGNORECASE)


def without_user(address: str) -> str:
    """`http://user:password@host/` as a browser is given it, which asks for both."""
    return re.sub(r"://[^/?#\s]*@", "://", address)
