// Bookmarks of messages as MSC4438 tells clients to keep them, step by step, by the account-data calls that matrix-js-sdk has.
//
// The SDK keeps account data as syncs tell it, and a write is done when a sync has told it: so what is read here is what the
// SDK was told.

const NAMES = {
    unstable: { index: "org.matrix.msc4438.bookmarks.index", item: "org.matrix.msc4438.bookmark." },
    stable: { index: "m.bookmarks.index", item: "m.bookmark." },
};

const encoded = (id) => encodeURIComponent(id).replace("!", "%21");
const isText = (value) => typeof value === "string";
const isNumber = (value) => Number.isInteger(value) && value >= 0;

/** Whether clients surface an item of this content ("Clients must ignore malformed bookmark item events"). */
function isValid(id, item) {
    const texts = [item?.bookmark_id, item?.uri, item?.room_id, item?.event_id];
    const numbers = [item?.event_ts, item?.bookmarked_ts];
    return item?.version === 1 && texts.every(isText) && numbers.every(isNumber) && item.bookmark_id === id && !item.deleted;
}

const isValidIndex = (index) => index?.version === 1 && isNumber(index.revision) && Array.isArray(index.bookmark_ids);

/** The commands of whom `client` gives; `until` waits for what syncs tell. */
export const bookmarks = (client, until) => {
    const read = (type) => client().getAccountData(type)?.getContent();
    const item = (names, id) => read(NAMES[names].item + id);
    const index = (names) => {
        const content = read(NAMES[names].index);
        return isValidIndex(content) ? content : { version: 1, revision: 0, updated_ts: 0, bookmark_ids: [] };
    };
    const writeItem = (names, id, content) => client().setAccountData(NAMES[names].item + id, content);

    /** "Listing bookmarks". */
    const list = (names) => [...new Set(index(names).bookmark_ids)].filter((id) => isValid(id, item(names, id)));

    /** Step 3 of "Adding a bookmark". */
    function itemOf(id, room, event) {
        const content = event.getContent();
        const about = { room_name: room.name, body_preview: content.body?.slice(0, 120), msgtype: content.msgtype };
        return {
            version: 1,
            bookmark_id: id,
            uri: `matrix:roomid/${encoded(room.roomId)}/e/${encoded(event.getId())}`,
            room_id: room.roomId,
            event_id: event.getId(),
            event_ts: event.getTs(),
            bookmarked_ts: now(),
            sender: event.getSender(),
            ...Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined)),
        };
    }

    /** Steps 5 to 8 of it, and 1 to 4 of "Removing a bookmark". */
    async function writeIndex(names, change) {
        const { revision, bookmark_ids } = index(names);
        const ids = change(bookmark_ids);
        const next = { version: 1, revision: revision + 1, updated_ts: Date.now(), bookmark_ids: ids };
        await client().setAccountData(NAMES[names].index, next);
    }

    // Two bookmarks of one client are never of the same time.
    let last = 0;
    const now = () => (last = Math.max(Date.now(), last + 1));
    const prepended = (id) => (ids) => (ids.includes(id) ? ids : [id, ...ids]);

    const commands = {
        /** Steps 1 to 4 of "Adding a bookmark": the item is written, the index not yet. */
        async write_item({ names, bookmark: id, room: roomId, event: eventId }) {
            const room = client().getRoom(roomId);
            const event = await until(() => room.findEventById(eventId));
            await writeItem(names, id, itemOf(id, room, event));
        },

        /** Steps 5 to 8: the index is written. */
        async write_index({ names, bookmark: id }) {
            await writeIndex(names, prepended(id));
        },

        /** All of them. */
        async bookmark({ names, bookmark, room, event }) {
            await commands.write_item({ names, bookmark, room, event });
            await commands.write_index({ names, bookmark });
        },

        /** Steps 1 to 4 of "Removing a bookmark": the index does not name it, the item is there still. */
        async remove_from_index({ names, bookmark: id }) {
            await writeIndex(names, (ids) => ids.filter((one) => one !== id));
        },

        /** Steps 5 and 6: the item says that it is deleted. */
        async tombstone({ names, bookmark: id }) {
            const content = item(names, id);
            if (isValid(id, content)) await writeItem(names, id, { ...content, deleted: true });
        },

        /** All of them. */
        async remove_bookmark({ names, bookmark: id }) {
            await commands.remove_from_index({ names, bookmark: id });
            await commands.tombstone({ names, bookmark: id });
        },

        /** Brings one back that was removed: "by setting `deleted: false` and re-adding its ID". */
        async resurrect({ names, bookmark: id }) {
            await writeItem(names, id, { ...item(names, id), deleted: false });
            await commands.write_index({ names, bookmark: id });
        },

        /** Shows the bookmarks in another order. */
        async arrange({ names, ids }) {
            await writeIndex(names, () => ids);
        },

        /** Empties an item. */
        async empty_item({ names, bookmark: id }) {
            await client().deleteAccountData(NAMES[names].item + id);
        },

        /** Waits until the bookmarks that the client shows are these. */
        async await_bookmarks({ names, ids }) {
            const wanted = JSON.stringify(ids);
            await until(() => JSON.stringify(list(names)) === wanted);
        },

        /** The same, in whatever order. */
        async await_all_bookmarks({ names, ids }) {
            const wanted = JSON.stringify(ids);
            await until(() => JSON.stringify(list(names).sort()) === wanted);
        },

        /** What the index and an item are. */
        async index({ names }) {
            return read(NAMES[names].index) ?? null;
        },

        async item({ names, bookmark: id }) {
            return item(names, id) ?? null;
        },

        /** Waits until an item has no preview. */
        async await_no_preview({ names, bookmark: id }) {
            await until(() => item(names, id)?.body_preview === undefined);
        },
    };
    return commands;
};
