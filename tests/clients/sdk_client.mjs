// A client made of matrix-js-sdk, unmodified, that does as it is told.
//
// One JSON object a line comes in: {"id": 1, "do": "say", ...}. For each one goes out: {"id": 1, "result": ...}, or
// {"id": 1, "error": "..."}. Commands run side by side. A line without "id" tells of something on the way.

import { Console } from "node:console";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { createInterface } from "node:readline";

import {
    ClientEvent,
    HTTPError,
    PendingEventOrdering,
    RoomEvent,
    RoomMemberEvent,
    SyncState,
    createClient,
} from "matrix-js-sdk";

import { bookmarks } from "./sdk_bookmarks.mjs";
import { friends } from "./sdk_friends.mjs";
import { groups } from "./sdk_groups.mjs";

// Standard output belongs to the answers; the SDK's log goes elsewhere.
globalThis.console = new Console(process.stderr);

const baseUrl = process.argv[2];
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

let client;
let waiting = [];
let syncs = 0;

/** Looks again at what is waited for. */
function look() {
    waiting = waiting.filter(({ found, resolve }) => {
        const what = found();
        if (what) resolve(what);
        return !what;
    });
}

/** Waits until `found` answers with something. */
function until(found) {
    const { promise, resolve } = Promise.withResolvers();
    waiting.push({ found, resolve });
    look();
    return promise;
}

const isMessage = (event) => event.getType() === "m.room.message";
const message = (event) => [event.getId(), event.getContent().body];

/** The messages of the timeline as far as it is known, oldest first. */
function messages(room) {
    const events = client.getRoom(room)?.getLiveTimeline().getEvents() ?? [];
    return events.filter(isMessage).map(message);
}

/** Sends and, where the connection is lost, sends again once syncs arrive: the SDK leaves that to its user. */
async function send(roomId, content) {
    const room = client.getRoom(roomId);
    const transaction = client.makeTxnId();
    let sending = client.sendMessage(roomId, content, transaction);
    for (;;) {
        try {
            return (await sending).event_id;
        } catch (error) {
            const event = room.getPendingEvents().find((event) => event.getTxnId() === transaction);
            // An answer that breaks off in its middle is an error of another kind than a connection that is lost.
            if (error instanceof HTTPError || !event) throw error;
            const before = syncs;
            await until(() => syncs > before);
            // A sync may have brought it: then it had arrived, and only the answer was lost.
            if (event.status === null) return event.getId();
            sending = client.resendEvent(event, room);
        }
    }
}

/** Begins to sync with what a registration or a login gave. */
async function begin({ user_id, access_token, device_id }) {
    client = createClient({ baseUrl, userId: user_id, accessToken: access_token, deviceId: device_id });
    for (const event of [RoomEvent.Timeline, RoomEvent.LocalEchoUpdated, RoomEvent.MyMembership, RoomEvent.Receipt]) {
        client.on(event, look);
    }
    client.on(RoomMemberEvent.Typing, look);
    client.on(RoomMemberEvent.Membership, look);
    client.on(RoomMemberEvent.PowerLevel, look);
    client.on(ClientEvent.AccountData, look);
    client.on(ClientEvent.Sync, (state) => {
        if (state === SyncState.Syncing) syncs += 1;
        look();
    });
    await client.startClient({ pendingEventOrdering: PendingEventOrdering.Detached });
    await until(() => client.isInitialSyncComplete());
    return user_id;
}

const commands = {
    ...bookmarks(() => client, until),
    ...friends(() => client, until),
    ...groups(() => client, until),

    async register({ name, password }) {
        const auth = { type: "m.login.dummy" };
        return begin(await createClient({ baseUrl }).registerRequest({ username: name, password, auth }));
    },

    async log_in({ name, password }) {
        const identifier = { type: "m.id.user", user: name };
        return begin(await createClient({ baseUrl }).loginRequest({ type: "m.login.password", identifier, password }));
    },

    async create_room({ invite }) {
        return (await client.createRoom({ name: "A room for two", invite: [invite] })).room_id;
    },

    async join_invited() {
        const room = await until(() => client.getRooms().find((room) => room.getMyMembership() === "invite"));
        await client.joinRoom(room.roomId);
        await until(() => room.getMyMembership() === "join");
        return room.roomId;
    },

    async await_member({ room, user }) {
        await until(() => client.getRoom(room)?.getMember(user)?.membership === "join");
    },

    async say({ room, text }) {
        return send(room, { msgtype: "m.text", body: text });
    },

    async say_many({ room, prefix, count }) {
        const events = [];
        for (let number = 0; number < count; number++) {
            events.push(await commands.say({ room, text: `${prefix} ${number}` }));
            tell({ said: number + 1 });
        }
        return events;
    },

    async send_file({ room, path, kind, mimetype }) {
        const data = await readFile(path);
        const name = basename(path);
        const file = new Blob([data], { type: mimetype });
        const { content_uri: url } = await client.uploadContent(file, { name, type: mimetype });
        const event = await send(room, { msgtype: kind, body: name, url, info: { mimetype, size: data.length } });
        return { event, uri: url };
    },

    async await_text({ room, text }) {
        const [event] = await until(() => messages(room).find(([, body]) => body === text));
        return event;
    },

    async type({ room, typing }) {
        await client.sendTyping(room, typing, 30_000);
    },

    async await_typing({ room, user }) {
        await until(() => client.getRoom(room)?.getMember(user)?.typing);
    },

    async read({ room, event }) {
        await client.sendReadReceipt(client.getRoom(room).findEventById(event));
    },

    async await_receipt({ room, user, event }) {
        await until(() => client.getRoom(room).getEventReadUpTo(user, true) === event);
    },

    async download({ uri }) {
        const url = client.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true);
        const response = await fetch(url, { headers: { Authorization: `Bearer ${client.getAccessToken()}` } });
        if (!response.ok) throw new Error(`${url} was answered with ${response.status}`);
        return createHash("sha256").update(Buffer.from(await response.arrayBuffer())).digest("hex");
    },

    /** The messages that it holds, once there are so many. Where a sync left something out it scrolls back, as people do. */
    async held({ room, count }) {
        while (client.getRoom(room).oldState.paginationToken) await client.scrollback(client.getRoom(room), 100);
        await until(() => messages(room).length >= count);
        return messages(room);
    },

    /** All messages, paginated from the end to the creation, oldest first; and what the room began with. */
    async history({ room }) {
        const events = [];
        let from = null;
        do {
            const page = await client.createMessagesRequest(room, from, 20, "b");
            events.unshift(...page.chunk.reverse());
            from = page.end;
        } while (from);
        const messages = events.filter((event) => event.type === "m.room.message");
        return { messages: messages.map((event) => [event.event_id, event.content.body]), first: events[0].type };
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: name, ...rest } = JSON.parse(line);
    commands[name](rest).then(
        (result) => tell({ id, result: result ?? null }),
        (error) => tell({ id, error: String(error?.stack ?? error) }),
    );
}
client?.stopClient();
process.exit(0);
