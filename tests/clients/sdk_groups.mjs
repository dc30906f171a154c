// What matrix-js-sdk has for those who talk in groups: for it they are rooms.

/** The commands of whom `client` gives; `until` waits for what syncs tell. */
export const groups = (client, until) => ({
    async create_group({ name, invite }) {
        return (await client().createRoom({ name, invite })).room_id;
    },

    /** Waits until a sync tells of the invite, and how the room is called. */
    async await_group_invite({ room: roomId, name }) {
        const room = await until(() => {
            const room = client().getRoom(roomId);
            return room?.getMyMembership() === "invite" && room.name === name && room;
        });
        return { direct: room.getDMInviter() !== undefined };
    },

    /** Waits until syncs say that a room is called so, shows this picture, and has these members. */
    async await_group({ room: roomId, name, avatar, members }) {
        const wanted = JSON.stringify([name, avatar, members]);
        await until(() => {
            const room = client().getRoom(roomId);
            const joined = room?.getJoinedMembers().map((member) => member.userId).sort();
            return JSON.stringify([room?.name, room?.getMxcAvatarUrl() ?? null, joined]) === wanted;
        });
    },

    /** Waits until syncs say that one has so much power in a room. */
    async await_level({ room, level }) {
        await until(() => client().getRoom(room)?.getMember(client().getUserId())?.powerLevel === level);
    },

    async mute({ room, muted }) {
        await client().setRoomMutePushRule("global", room, muted);
    },

    /** Whether one may not speak. */
    async is_silenced({ room }) {
        try {
            await client().sendTextMessage(room, "May I?");
            return false;
        } catch (error) {
            // What was refused keeps the rest back until its user gives it up.
            for (const event of client().getRoom(room).getPendingEvents()) client().cancelPendingEvent(event);
            return error.errcode === "M_FORBIDDEN";
        }
    },
});
