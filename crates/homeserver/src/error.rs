//! What can go wrong, in words that a reader can act on.

use tertulia_protocol::{AppendError, BadEmail, UnfitName};

/// What can go wrong when using a homeserver.
///
/// Matrix error codes are given to these cases by the HTTP layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for does not exist, or may not be seen by who asks.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A name that must be unique is in use.
    #[error("the {0} is taken")]
    Taken(&'static str),
    /// The one who asks may not do or see this.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The one who is invited does not want that.
    #[error("{0} does not want to be invited")]
    InviteBlocked(String),
    /// The user is still in the room, and must leave it first.
    #[error("you are still in the room; leave it first")]
    InRoom,
    /// A value is not what it must be.
    #[error("{0} is not valid")]
    Invalid(&'static str),
    /// The event is larger than events may be.
    #[error("the event is too large")]
    TooLarge,
    /// The room version is not one of those this server knows.
    #[error("the room version is not supported")]
    UnsupportedRoomVersion,
    /// The access token is unknown, or its session has ended.
    #[error("the access token is unknown")]
    UnknownToken,
    /// The access token has expired, and its session goes on with another one.
    #[error("the access token has expired; refresh it, or log in again on the same device")]
    ExpiredToken,
    /// The login token cannot be used, or not any more.
    #[error("the login token is unknown, was used already, or has expired")]
    WrongLoginToken,
    /// The account is locked: its sessions go on when it is unlocked.
    #[error("the account is locked")]
    Locked,
    /// The user is suspended, and may not do this meanwhile.
    #[error("you cannot do this while your account is suspended")]
    Suspended,
    /// The name cannot be a user's.
    #[error("the user name {0}")]
    InvalidUserName(&'static str),
    /// The user name is or was somebody's.
    #[error("the user name is taken")]
    UserNameTaken,
    /// Nobody may make an account here by themself.
    #[error("this server does not let people register")]
    RegistrationClosed,
    /// What those who register have to accept was not.
    #[error("the terms of this server have to be accepted")]
    TermsNotAccepted,
    /// One needs a word to register, and it was not given, or is none of those that there are.
    #[error("the registration token is missing or wrong")]
    WrongRegistrationToken,
    /// Accounts without a password or name of their own are not given out here.
    #[error("this server has no guests")]
    NoGuests,
    /// The user is a guest, and guests may not do this or not come here.
    #[error("guests may not do this")]
    GuestsForbidden,
    /// The user name or the password is wrong; which of them is not told.
    #[error("the user name or the password is wrong")]
    WrongPassword,
    /// The password may not be chosen.
    #[error("the password {0}")]
    WeakPassword(&'static str),
    /// The password has fewer characters than passwords are to have here.
    #[error("a password needs {0} characters")]
    ShortPassword(usize),
    /// The account was closed.
    #[error("the account was closed")]
    Deactivated,
    /// There is no such way to log in.
    #[error("one cannot log in here in this way")]
    UnknownLoginType,
    /// The name of a profile field is too long.
    #[error("the name of a profile field may have 255 bytes")]
    ProfileFieldTooLong,
    /// Nobody may call themselves or their group so, or say that it is about this.
    #[error(transparent)]
    UnfitName(#[from] UnfitName),
    /// What was given is no e-mail address.
    #[error(transparent)]
    BadEmail(#[from] BadEmail),
    /// The server cannot send mail, and so knows nobody by an e-mail address.
    #[error("this server sends no mail, and knows nobody by an e-mail address")]
    NoMail,
    /// The e-mail address is somebody's.
    #[error("the e-mail address is in use")]
    EmailInUse,
    /// No account has the e-mail address, or not that of the user.
    #[error("there is no account with this e-mail address")]
    EmailUnknown,
    /// Everyone has an e-mail address here, and this is the user's last one.
    #[error("an account needs an e-mail address here; add another before you remove this")]
    LastEmail,
    /// What was shown does not stand in the mail.
    #[error("the code is wrong")]
    WrongCode,
    /// The code is worth nothing any more.
    #[error("the code is too old, or was wrong too often; ask for another")]
    CodeExpired,
    /// The mail of the session was refused, or could only arrive too late.
    #[error("the mail could not be delivered; ask for another, or give another address")]
    MailNotDelivered,
    /// The session does not prove that an e-mail address is somebody's, or not for this.
    #[error("the e-mail address is not proven; show the code of the mail, or open its link")]
    AddressNotProven,
    /// The profile would be too large.
    #[error("a profile may have 64 KiB")]
    ProfileTooLarge,
    /// Too many ask for the same work at once.
    #[error("too much to do; try again in a moment")]
    Busy,
    /// The rules of the room refuse the event.
    #[error(transparent)]
    Refused(#[from] AppendError),
    /// The user has annotated the event so already.
    #[error("you have annotated the event so already")]
    DuplicateAnnotation,
    /// A thread cannot begin at an event that relates to another.
    #[error("a thread cannot begin at an event that relates to another")]
    NoThreadRoot,
    /// What was sent is larger than the server takes.
    #[error("the {0} is too large")]
    BodyTooLarge(&'static str),
    /// What was sent is JSON, but must be an object.
    #[error("the {0} must be a JSON object")]
    NotAnObject(&'static str),
    /// What was sent is no filter.
    #[error("this is no filter: {0}")]
    NoFilter(String),
    /// There are more of these than one user may have.
    #[error("there are too many {0}")]
    TooMany(&'static str),
    /// Account data that only the server sets.
    #[error("{0} cannot be set as account data")]
    SetByServer(String),
    /// A change of a push rule that makes no sense.
    #[error("the push rule cannot be changed so: {0}")]
    PushRule(String),
    /// The alias stands for a room already.
    #[error("the room alias {0} exists already")]
    AliasInUse(String),
    /// The alias that a new room shall have stands for another.
    #[error("the room alias {0} stands for another room")]
    RoomInUse(String),
    /// A room names an alias that does not stand for it.
    #[error("the alias {0} does not stand for this room")]
    BadAlias(String),
    /// There is no thumbnail of this file.
    #[error("the server cannot make a thumbnail of this file")]
    NoThumbnail,
    /// The file of this URI has not come yet.
    #[error("the file is not uploaded yet")]
    NotYetUploaded,
    /// The file of this URI is here, and stays what it is.
    #[error("the file is uploaded already")]
    AlreadyUploaded,
    /// Too many URIs of one user wait for their files.
    #[error("too many files are waited for; upload some of them first")]
    TooManyPending,
    /// The user has as many bytes here as one user may have.
    #[error("you have no room left for files on this server")]
    QuotaReached,
    /// Uploaded files cannot be written or read.
    #[error("uploaded files cannot be written or read")]
    Media(#[from] std::io::Error),
    /// The templates of mail are not what they must be.
    #[error("mail templates: {0}")]
    MailTemplates(String),
    /// The store belongs to another server.
    #[error("the store belongs to the server {0}; use its name, or another data directory")]
    OtherServer(String),
    /// The store failed, or holds what it should not.
    #[error(transparent)]
    Storage(#[from] tertulia_storage::Error),
    /// The events of a room contradict each other.
    #[error("the room's events contradict each other: {0}")]
    CorruptRoom(String),
    /// A stored event does not read as an event.
    #[error("the stored event {0} does not read as an event")]
    CorruptEvent(String),
}

/// The result of using a homeserver.
pub type Result<T, E = Error> = std::result::Result<T, E>;
