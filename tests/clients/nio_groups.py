"""What matrix-nio has for those who talk in groups: for it they are rooms."""

import nio

from nio_friends import checked


class Groups:
    def watch_groups(self):
        self.levels = {}  # by room: how much power one has
        self.nio.add_event_callback(self.on_power_levels, nio.PowerLevelsEvent)

    async def on_power_levels(self, room, event):
        # The room's own levels keep those of users whom the event does not name any more.
        self.levels[room.room_id] = event.power_levels.get_user_level(self.nio.user_id)

    # Commands.

    async def create_group(self, name, invite):
        return checked(await self.nio.room_create(name=name, invite=invite)).room_id

    async def await_group_invite(self, room, name):
        """Waits until a sync tells of the invite, and how the room is called."""

        def found():
            invited = self.nio.invited_rooms.get(room)
            return invited is not None and invited.name == name and room in self.invites

        await self.until(found)
        return {"direct": self.invites[room].get("is_direct", False)}

    async def await_group(self, room, name, avatar, members):
        """Waits until syncs say that a room is called so, shows this picture, and has these members."""

        def found():
            if room not in self.nio.rooms:
                return False
            shown = self.nio.rooms[room]
            joined = sorted(user for user in shown.users if user not in shown.invited_users)
            return (shown.name, shown.room_avatar_url, joined) == (name, avatar, members)

        await self.until(found)

    async def await_level(self, room, level):
        """Waits until syncs say that one has so much power in a room."""
        await self.until(lambda: self.levels.get(room) == level)

    async def mute(self, room, muted):
        kind = nio.api.PushRuleKind.room
        if muted:
            checked(await self.nio.set_pushrule("global", kind, room, actions=[]))
        else:
            checked(await self.nio.delete_pushrule("global", kind, room))

    async def is_silenced(self, room):
        """Whether one may not speak."""
        response = await self.nio.room_send(room, "m.room.message", {"msgtype": "m.text", "body": "May I?"})
        return isinstance(response, nio.ErrorResponse) and response.status_code == "M_FORBIDDEN"
