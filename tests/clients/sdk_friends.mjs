// What matrix-js-sdk has for those who ask, accept, refuse and part. It knows invites, rooms and account data; of friends it knows
// nothing.

const DIRECT = "m.direct";
const PRESET = "trusted_private_chat";

/** The commands of whom `client` gives; `until` waits for what syncs tell. */
export const friends = (client, until) => {
    const listed = () => client().getAccountData(DIRECT)?.getContent() ?? {};
    const membership = (room, user) => client().getRoom(room)?.getMember(user)?.membership ?? "leave";
    const mine = (room) => client().getRoom(room)?.getMyMembership();

    const commands = {
        /** Begins a direct chat. */
        async ask({ user, reason }) {
            const invite = reason === undefined ? [user] : [];
            const { room_id: room } = await client().createRoom({ is_direct: true, preset: PRESET, invite });
            if (reason !== undefined) await commands.ask_in({ room, user, reason });
            return room;
        },

        /** Invites into a direct chat that is there. */
        async ask_in({ room, user, reason }) {
            await client().sendStateEvent(room, "m.room.member", { membership: "invite", is_direct: true, reason }, user);
        },

        async await_invite({ sender, reason }) {
            const me = client().getUserId();
            return until(() => {
                for (const room of client().getRooms()) {
                    const invite = room.getMyMembership() === "invite" && room.getMember(me)?.events.member;
                    if (invite && invite.getSender() === sender && invite.getContent().reason === reason) {
                        return { room: room.roomId, direct: room.getDMInviter() === sender };
                    }
                }
            });
        },

        async accept({ room }) {
            await client().joinRoom(room);
            await until(() => mine(room) === "join");
        },

        async leave({ room }) {
            await client().leave(room);
            await until(() => mine(room) === "leave");
        },

        async leave_for_good({ room }) {
            await client().leave(room);
            await client().forget(room);
        },

        async take_back({ room, user }) {
            await client().kick(room, user);
        },

        /** Waits until a sync says that one is not in the room, nor asked into it. */
        async await_out({ room }) {
            await until(() => mine(room) === "leave");
        },

        async await_membership({ room, user, membership: wanted }) {
            await until(() => membership(room, user) === wanted);
        },

        /** Waits until a sync says that the room is listed with the other, or not. */
        async await_direct({ room, user, listed: wanted }) {
            await until(() => (listed()[user] ?? []).includes(room) === wanted);
        },

        /** Ignores these and nobody else. */
        async ignore({ users }) {
            await client().setIgnoredUsers(users);
        },

        /** Waits until a sync says so. */
        async await_account_data({ kind, content }) {
            const sorted = (object) => JSON.stringify(Object.entries(object ?? {}).sort());
            await until(() => sorted(client().getAccountData(kind)?.getContent()) === sorted(content));
        },

        /** The list of direct rooms as syncs have told it. */
        async directs() {
            return listed();
        },

        /** Calls a room direct with somebody, as Element does: in what it knows of the list, which it writes whole. */
        async list_direct({ room, user }) {
            const lists = Object.entries(listed()).map(([other, rooms]) => [other, rooms.filter((one) => one !== room)]);
            const list = Object.fromEntries(lists.filter(([, rooms]) => rooms.length > 0));
            list[user] = [...(list[user] ?? []), room];
            await client().setAccountData(DIRECT, list);
        },

        /** Calls a room direct with nobody. */
        async unlist_direct({ room }) {
            const lists = Object.entries(listed()).map(([other, rooms]) => [other, rooms.filter((one) => one !== room)]);
            await client().setAccountData(DIRECT, Object.fromEntries(lists));
        },
    };
    return commands;
};
