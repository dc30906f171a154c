//! Friends.

use http::Method;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use tertulia::{FoundPeople, FoundPerson, FoundUser, FriendsPage, Friendship, Homeserver};

use super::{
    Limit,
    endpoint::{Call, Nothing},
};
use crate::{Action, ApiError, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::GET, "/people", Action::Search, find)
        .own(Method::GET, "/friends", Action::Other, list)
        .own(Method::POST, "/friends", Action::RoomCreation, request)
        .own(Method::GET, "/friends/{userId}", Action::Other, status)
        .own(Method::DELETE, "/friends/{userId}", Action::Other, delete)
        .own(Method::POST, "/friends/{userId}/accept", Action::Join, accept)
        .own(Method::POST, "/friends/{userId}/refuse", Action::Other, refuse)
        .own(Method::POST, "/friends/{userId}/withdraw", Action::Other, withdraw)
}

#[derive(Deserialize)]
struct OfFriend {
    #[serde(rename = "userId")]
    user: OwnedUserId,
}

#[derive(Deserialize)]
struct Page {
    from: Option<OwnedUserId>,
    #[serde(default)]
    limit: Limit,
}

async fn list(_: Homeserver, call: Call<Nothing, Page>) -> Result<FriendsPage, ApiError> {
    let Page { from, limit } = call.query;
    Ok(call.from.friends().list(from.as_deref(), limit.0).await?)
}

/// What somebody is to a user, and the room by which they are.
#[derive(Serialize)]
struct Status {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<OwnedRoomId>,
}

impl From<Friendship<OwnedRoomId>> for Status {
    fn from(friendship: Friendship<OwnedRoomId>) -> Self {
        let room_id = friendship.room().cloned();
        let status = match friendship {
            Friendship::Stranger => "stranger",
            Friendship::Asked(_) => "asked",
            Friendship::Asking(_) => "asking",
            Friendship::Friend(_) => "friend",
        };
        Self { status, room_id }
    }
}

#[derive(Deserialize)]
struct Sought {
    words: String,
    #[serde(default)]
    limit: Limit,
}

/// People who were found.
#[derive(Serialize)]
struct Found {
    people: Vec<Person>,
    limited: bool,
}

#[derive(Serialize)]
struct Person {
    user_id: OwnedUserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    displayname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(flatten)]
    status: Status,
}

impl From<FoundPerson> for Person {
    fn from(found: FoundPerson) -> Self {
        let FoundUser { user_id, display_name: displayname, avatar_url } = found.user;
        Self { user_id, displayname, avatar_url, status: found.friendship.into() }
    }
}

async fn find(_: Homeserver, call: Call<Nothing, Sought>) -> Result<Found, ApiError> {
    let Sought { words, limit } = call.query;
    let FoundPeople { people, limited } = call.from.friends().find(&words, limit.0).await?;
    Ok(Found { people: people.into_iter().map(Person::from).collect(), limited })
}

#[derive(Deserialize)]
struct Wish {
    user: String,
    reason: Option<String>,
}

async fn request(_: Homeserver, call: Call<Nothing, Nothing, Wish>) -> Result<Status, ApiError> {
    let (Wish { user, reason }, friends) = (call.body, call.from.friends());
    Ok(friends.request(&friends.called(&user)?, reason).await?.into())
}

async fn status(_: Homeserver, call: Call<OfFriend>) -> Result<Status, ApiError> {
    Ok(call.from.friends().status(&call.path.user).await?.into())
}

async fn accept(_: Homeserver, call: Call<OfFriend>) -> Result<Status, ApiError> {
    let room = call.from.friends().accept(&call.path.user).await?;
    Ok(Friendship::Friend(room.id().to_owned()).into())
}

async fn refuse(_: Homeserver, call: Call<OfFriend>) -> Result<Nothing, ApiError> {
    call.from.friends().refuse(&call.path.user).await?;
    Ok(Nothing {})
}

async fn withdraw(_: Homeserver, call: Call<OfFriend>) -> Result<Nothing, ApiError> {
    call.from.friends().withdraw(&call.path.user).await?;
    Ok(Nothing {})
}

async fn delete(_: Homeserver, call: Call<OfFriend>) -> Result<Nothing, ApiError> {
    call.from.friends().delete(&call.path.user).await?;
    Ok(Nothing {})
}
