"""Virtual keys for LiteLLM without a database.

LiteLLM calls `user_api_key_auth` for each request (`general_settings.custom_auth`). This file only
says whose a key is and what LiteLLM shall hold it to: the fields of keys.json are those of
UserAPIKeyAuth. Counting, pricing and refusing are LiteLLM's own, as it ships them.
"""

import json
import pathlib

from fastapi import Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

_KEYS = json.loads(pathlib.Path(__file__).with_name("keys.json").read_text())


def _refuse(message: str, type_: str, status: int) -> None:
    raise ProxyException(message=message, type=type_, param="key", code=status)


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    if not api_key:
        if _KEYS["mandatory"]:
            _refuse("No api key passed in.", "key_missing", 401)
        return UserAPIKeyAuth()
    key = _KEYS["keys"].get(api_key)
    if key is None:
        _refuse("Invalid api key.", "key_unknown", 401)
    # LiteLLM asks for no more than this file's word on whether a key may be used.
    if key["blocked"]:
        _refuse("The api key is blocked.", "key_blocked", 403)
    return UserAPIKeyAuth(api_key=api_key, **key)
