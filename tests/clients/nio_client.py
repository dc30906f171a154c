"""A client made of matrix-nio, unmodified, that does as it is told.

One JSON object a line comes in: {"id": 1, "do": "say", ...}. For each one goes out: {"id": 1, "result": ...}, or
{"id": 1, "error": "..."}. Commands run side by side. A line without "id" tells of something on the way.
"""

import asyncio
import hashlib
import json
import sys
import uuid

import aiohttp
import nio

from nio_friends import Friends, checked
from nio_groups import Groups


def tell(line):
    print(json.dumps(line), flush=True)


class Client(Friends, Groups):
    def __init__(self, url):
        self.nio = nio.AsyncClient(url)
        self.watch_account()
        self.watch_groups()
        self.messages = {}  # what syncs told: by room, (ID, text), oldest first
        self.news = asyncio.Condition()
        self.server_is_back = asyncio.Event()

    # What syncs tell.

    async def on_sync(self, response):
        self.note_memberships(response)
        for room_id, room in response.rooms.join.items():
            missed = await self.missed(room_id, room.timeline)
            known = self.messages.setdefault(room_id, [])
            known += [message(event) for event in missed + room.timeline.events if is_message(event)]
        async with self.news:
            self.news.notify_all()

    async def missed(self, room_id, timeline):
        """What a timeline that was cut short left out since the last sync."""
        known = {event for event, _ in self.messages.get(room_id, [])}
        missed, token = [], timeline.prev_batch if timeline.limited and known else None
        while token:
            page = checked(await self.nio.room_messages(room_id, token, limit=50))
            for event in page.chunk:
                if event.event_id in known:
                    return missed[::-1]
                missed.append(event)
            token = page.end
        return missed[::-1]

    async def until(self, found):
        """Waits for syncs until `found` answers with something."""
        async with self.news:
            while not (what := found()):
                await self.news.wait()
            return what

    # Commands.

    async def register(self, name, password):
        checked(await self.nio.register(name, password))
        return await self.begin()

    async def log_in(self, name, password):
        self.nio.user = name
        checked(await self.nio.login(password))
        return await self.begin()

    async def begin(self):
        checked(await self.nio.sync())
        self.nio.add_response_callback(self.on_sync, nio.SyncResponse)
        self.syncing = asyncio.create_task(self.keep_syncing())
        return self.nio.user_id

    async def keep_syncing(self):
        while True:
            try:
                await self.nio.sync_forever(timeout=30_000)
            except aiohttp.ClientPayloadError:
                pass  # An answer broke off in its middle, which matrix-nio leaves to its user.

    async def create_room(self, invite):
        return checked(await self.nio.room_create(name="A room for two", invite=[invite])).room_id

    async def join_invited(self):
        room = await self.until(lambda: next(iter(self.nio.invited_rooms), None))
        checked(await self.nio.join(room))
        await self.until(lambda: room in self.nio.rooms)
        return room

    async def await_member(self, room, user):
        await self.until(lambda: user in self.nio.rooms[room].users)

    async def say(self, room, text):
        return await self.send(room, {"msgtype": "m.text", "body": text})

    async def say_many(self, room, prefix, count):
        events = []
        for number in range(count):
            events.append(await self.say(room, f"{prefix} {number}"))
            tell({"said": number + 1})
        return events

    async def send(self, room, content):
        transaction = str(uuid.uuid4())
        while True:
            try:
                return checked(await self.nio.room_send(room, "m.room.message", content, transaction)).event_id
            except aiohttp.ClientPayloadError:
                pass  # As above. The server knows the transaction if the event had arrived.

    async def send_file(self, room, path, kind, mimetype, hold=False):
        with open(path, "rb") as file:
            data = file.read()

        async def pieces(attempt):
            half = len(data) // 2
            yield data[:half]
            if hold and attempt == 0:
                # Half of it is with the server. The rest does not come before the server has died.
                tell({"half": True})
                await self.server_is_back.wait()
            yield data[half:]

        # matrix-nio asks again for the pieces when it has to begin again.
        provide = lambda limited, lost: pieces(limited + lost)
        name = path.rsplit("/", 1)[-1]
        response, _ = await self.nio.upload(provide, mimetype, name, filesize=len(data))
        uri = checked(response).content_uri
        info = {"mimetype": mimetype, "size": len(data)}
        event = await self.send(room, {"msgtype": kind, "body": name, "url": uri, "info": info})
        return {"event": event, "uri": uri}

    async def server_is_back_again(self):
        self.server_is_back.set()

    async def await_text(self, room, text):
        return await self.until(lambda: next((e for e, t in self.messages.get(room, []) if t == text), None))

    async def type(self, room, typing):
        checked(await self.nio.room_typing(room, typing))

    async def await_typing(self, room, user):
        await self.until(lambda: user in self.nio.rooms[room].typing_users)

    async def read(self, room, event):
        checked(await self.nio.update_receipt_marker(room, event))

    async def await_receipt(self, room, user, event):
        receipts = self.nio.rooms[room].read_receipts
        await self.until(lambda: user in receipts and receipts[user].event_id == event)

    async def download(self, uri):
        body = checked(await self.nio.download(uri)).body
        return hashlib.sha256(body).hexdigest()

    async def held(self, room, count):
        """The messages that syncs told, once there are so many."""
        await self.until(lambda: len(self.messages.get(room, [])) >= count)
        return self.messages[room]

    async def history(self, room):
        """All messages, paginated from the end to the creation, oldest first; and what the room began with."""
        events, token = [], None
        while True:
            page = checked(await self.nio.room_messages(room, token, limit=20))
            events += page.chunk
            token = page.end
            if not token:
                break
        messages = [message(event) for event in reversed(events) if is_message(event)]
        return {"messages": messages, "first": events[-1].source["type"]}


def is_message(event):
    return event.source["type"] == "m.room.message"


def message(event):
    return [event.event_id, event.source["content"]["body"]]


async def obey(client, command):
    number, name = command.pop("id"), command.pop("do")
    try:
        tell({"id": number, "result": await getattr(client, name)(**command)})
    except Exception as error:  # Whatever it is, the driver has to hear of it.
        tell({"id": number, "error": repr(error)})


async def main(url):
    client = Client(url)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    commands = set()
    while line := await lines.readline():
        command = asyncio.create_task(obey(client, json.loads(line)))
        commands.add(command)
        command.add_done_callback(commands.discard)
    await client.nio.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
