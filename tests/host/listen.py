"""Run by ComfyUI's own Python: print what the server sends over its web socket, one JSON object per line."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp


async def main(url: str) -> None:
    """Print text messages as they are and binary ones (previews) as their size."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        print(json.dumps({"type": "connected"}), flush=True)
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                print(message.data, flush=True)
            elif message.type == aiohttp.WSMsgType.BINARY:
                print(json.dumps({"type": "binary", "bytes": len(message.data)}), flush=True)


asyncio.run(main(sys.argv[1]))
