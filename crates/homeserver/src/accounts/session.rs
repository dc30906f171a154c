//! Sessions that are opened without a proof, by a program that knows its users by itself.

use tertulia_storage::{Command, Partition, Tx};

use crate::{
    AccessToken, Error, Homeserver, NewDevice, Result, Session, User,
    devices::Opening,
    users::{self, Standing},
};

impl User {
    /// Logs the user in on a device, asking for no password: for a program that has a login of its
    /// own, and for its bots. The access token is what the user's Matrix client shows; a program that
    /// acts for the user needs the session alone.
    ///
    /// A session that was on the device before ends.
    ///
    /// ```
    /// # async fn enter(server: tertulia::Homeserver, name: &str) -> tertulia::Result<()> {
    /// use tertulia::NewDevice;
    ///
    /// // The program has made sure that this is `name`.
    /// let user = server.ensure_user(name).await?;
    /// let (session, token) = user.open_session(NewDevice::default()).await?;
    /// # drop((session, token));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such account, [`Error::Deactivated`] if it was closed,
    /// [`Error::Locked`] while it is locked, [`Error::Invalid`] if the device's ID or name is too long.
    pub async fn open_session(&self, device: NewDevice) -> Result<(Session, AccessToken)> {
        let opening = Opening::new(&self.core, &self.id, device)?;
        let open = Open { user: self.clone(), opening: opening.clone() };
        let standing = self.core.store.write(open).await?.out;
        Ok(opening.done(&Homeserver { core: self.core.clone() }, standing))
    }
}

/// Opens a session; tells how its user stands.
struct Open {
    user: User,
    opening: Opening,
}

impl Command for Open {
    type Out = Standing;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user.id)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Standing> {
        let account = users::open_account(tx, &self.user.id).await?;
        self.opening.write(tx).await?;
        Ok(Standing::of(&account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        NewAccount, Registration, Remains, Restriction,
        testing::{self, server_where},
    };

    fn device(id: &str) -> NewDevice {
        NewDevice { id: Some(id.into()), ..NewDevice::default() }
    }

    #[tokio::test]
    async fn a_program_logs_its_users_in() {
        let server = server_where(Registration::Closed).await;
        let alice = server.create_user("alice").await.unwrap();
        let (session, token) = alice.open_session(device("PHONE")).await.unwrap();
        let known = server.authenticate(token.reveal()).await.unwrap();
        assert_eq!((known.id(), known.device()), (session.id(), session.device()));
        let (_, next) = alice.open_session(device("PHONE")).await.unwrap();
        let old = server.authenticate(token.reveal()).await;
        assert!(matches!(old, Err(Error::UnknownToken)), "one device has one session");
        server.authenticate(next.reveal()).await.unwrap();
    }

    #[tokio::test]
    async fn a_user_is_made_who_is_not_there_yet() {
        let server = server_where(Registration::Closed).await;
        let named = || NewAccount::from("alice").with_display_name("Alice").with_password("first");
        let alice = server.ensure_user(named()).await.unwrap();
        assert_eq!(alice.nickname().await.unwrap().as_deref(), Some("Alice"));
        let other = named().with_display_name("Mallory").with_password("second");
        let again = server.ensure_user(other).await.unwrap();
        assert_eq!(again.id(), alice.id());
        assert_eq!(again.nickname().await.unwrap().as_deref(), Some("Alice"), "nothing changes");
        let (one, other) = tokio::join!(server.ensure_user("bob"), server.ensure_user("bob"));
        assert_eq!(one.unwrap().id(), other.unwrap().id());
        let someone = server.ensure_user(NewAccount::default()).await.unwrap();
        assert_ne!(someone.id(), alice.id());
        let wrong = server.ensure_user("No Name").await;
        assert!(matches!(wrong, Err(Error::InvalidUserName(_))), "{wrong:?}");
        alice.deactivate(Remains::Keep).await.unwrap();
        let closed = server.ensure_user("alice").await;
        assert!(matches!(closed, Err(Error::Deactivated)), "{closed:?}");
    }

    #[tokio::test]
    async fn others_are_logged_out_one_by_one_or_all() {
        let server = server_where(Registration::Closed).await;
        let alice = server.create_user("alice").await.unwrap();
        let mut sessions = Vec::new();
        for id in ["A", "B", "C", "D"] {
            sessions.push(alice.open_session(device(id)).await.unwrap().0);
        }
        let devices = async || {
            let devices = alice.devices().await.unwrap();
            devices.iter().map(|device| device.id.to_string()).collect::<String>()
        };
        alice.logout_device("B".into()).await.unwrap();
        alice.logout_device("unknown".into()).await.unwrap();
        assert_eq!(devices().await, "ACD");
        sessions[2].logout_others().await.unwrap();
        assert_eq!(devices().await, "C");
        assert!(sessions[2].is_valid().await.unwrap() && !sessions[0].is_valid().await.unwrap());
    }

    #[tokio::test]
    async fn nobody_is_logged_in_who_may_not_be() {
        let server = server_where(Registration::Closed).await;
        let nobody = testing::user(&server, "nobody").open_session(NewDevice::default()).await;
        assert!(matches!(nobody, Err(Error::NotFound(_))), "{nobody:?}");
        let alice = server.create_user("alice").await.unwrap();
        let long = alice.open_session(device(&"d".repeat(300))).await;
        assert!(matches!(long, Err(Error::Invalid(_))), "{long:?}");
        let root = NewAccount { admin: true, ..NewAccount::from("root") };
        let root = server.create_user(root).await.unwrap();
        root.restrict(alice.id(), Restriction::Lock, true).await.unwrap();
        let locked = alice.open_session(NewDevice::default()).await;
        assert!(matches!(locked, Err(Error::Locked)), "{locked:?}");
        root.restrict(alice.id(), Restriction::Lock, false).await.unwrap();
        alice.deactivate(Remains::Keep).await.unwrap();
        let closed = alice.open_session(NewDevice::default()).await;
        assert!(matches!(closed, Err(Error::Deactivated)), "{closed:?}");
    }
}
