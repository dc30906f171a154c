"""What matrix-nio has for those who ask, accept, refuse and part. It knows invites, rooms and account data; of friends it knows
nothing.
"""

import nio


def checked(response):
    """matrix-nio returns errors; here they are raised."""
    if isinstance(response, nio.ErrorResponse):
        raise RuntimeError(str(response))
    return response


class Friends:
    def watch_account(self):
        self.invites = {}  # by room: who invites, and what their invite says
        self.memberships = {}  # by room: what the last sync that told of it had it under
        self.account_data = {}  # by type
        self.nio.add_event_callback(self.on_invite, nio.InviteMemberEvent)
        self.nio.add_global_account_data_callback(self.on_account_data, nio.UnknownAccountDataEvent)

    # What syncs tell.

    async def on_invite(self, room, event):
        if event.state_key == self.nio.user_id and event.membership == "invite":
            self.invites[room.room_id] = {"sender": event.sender, **event.content}

    async def on_account_data(self, event):
        self.account_data[event.type] = event.content

    def note_memberships(self, response):
        rooms = response.rooms
        for kind, some in (("invite", rooms.invite), ("join", rooms.join), ("leave", rooms.leave)):
            self.memberships.update((room, kind) for room in some)

    # Commands.

    async def ask(self, user, reason=None):
        """Begins a direct chat."""
        invite = [user] if reason is None else []
        preset = nio.RoomPreset.trusted_private_chat
        room = checked(await self.nio.room_create(is_direct=True, preset=preset, invite=invite)).room_id
        if reason is not None:
            await self.ask_in(room, user, reason)
        return room

    async def ask_in(self, room, user, reason):
        """Invites into a direct chat that is there."""
        content = {"membership": "invite", "is_direct": True, "reason": reason}
        checked(await self.nio.room_put_state(room, "m.room.member", content, user))

    async def await_invite(self, sender, reason=None):
        def found():
            for room, invite in self.invites.items():
                is_open = self.memberships.get(room) == "invite" and room in self.nio.invited_rooms
                if is_open and invite["sender"] == sender and invite.get("reason") == reason:
                    return {"room": room, "direct": invite.get("is_direct", False)}

        return await self.until(found)

    async def accept(self, room):
        checked(await self.nio.join(room))
        await self.until(lambda: self.memberships.get(room) == "join")

    async def leave(self, room):
        checked(await self.nio.room_leave(room))
        await self.until(lambda: self.memberships.get(room) == "leave")

    async def leave_for_good(self, room):
        checked(await self.nio.room_leave(room))
        checked(await self.nio.room_forget(room))

    async def take_back(self, room, user):
        checked(await self.nio.room_kick(room, user))

    async def await_out(self, room):
        """Waits until a sync says that one is not in the room, nor asked into it."""
        await self.until(lambda: self.memberships.get(room) == "leave")

    async def await_membership(self, room, user, membership):
        def found():
            shown = self.nio.rooms[room].users.get(user) if room in self.nio.rooms else None
            return membership == ("leave" if shown is None else "invite" if shown.invited else "join")

        await self.until(found)

    async def await_direct(self, room, user, listed):
        """Waits until a sync says that the room is listed with the other, or not."""
        await self.until(lambda: (room in self.account_data.get("m.direct", {}).get(user, [])) == listed)

    async def directs(self):
        """The list of direct rooms as the server has it."""
        response = await self.nio.list_direct_rooms()
        return response.rooms if isinstance(response, nio.DirectRoomsResponse) else {}

    async def await_account_data(self, kind, content):
        """Waits until a sync says so."""
        await self.until(lambda: self.account_data.get(kind) == content)
