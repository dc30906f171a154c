//! A homeserver inside of a program: two people become friends and talk, and any Matrix client may join them.

use std::error::Error;

use tertulia::{ChatsQuery, Homeserver, MemoryEngine, NewAccount, NewFile};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    embed(TcpListener::bind("127.0.0.1:8008").await?).await
}

async fn embed(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    // All of it is in memory here; `RocksEngine::open` of the crate tertulia-rocksdb keeps it on the disk.
    let server = Homeserver::start("localhost", MemoryEngine::default()).await?;

    // Whoever holds a `User` acts as them. The program decides who that may be.
    let alice = NewAccount::from("alice").with_password("down the hole");
    let alice = server.create_user(alice).await?;
    let bob = server.create_user("bob").await?;

    // A friend request is an invite to a room for the two: that is how any Matrix client sees it.
    alice.friends().request(bob.id(), Some("We met at the market".to_owned())).await?;
    let chat = bob.friends().accept(alice.id()).await?;
    chat.send_text("Hello, Alice!").await?;
    chat.send_file(NewFile::from_bytes("list.txt", "apples, pears")).await?;

    for chat in alice.chats().list(&ChatsQuery::default()).await?.chats {
        println!("{:?}: {} unread", chat.name, chat.unread.notification_count);
    }

    // Log in as alice at http://127.0.0.1:8008 with Element, or another client, and answer.
    axum::serve(listener, tertulia_http::router(server)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    /// What the server answers to the login of a client.
    async fn log_in(address: std::net::SocketAddr) -> String {
        let body = r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},
            "password":"down the hole"}"#;
        let head = "POST /_matrix/client/v3/login HTTP/1.1\r\nhost: localhost\r\nconnection: close";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_client_joins_those_who_talk() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::select! {
            ended = embed(listener) => panic!("{ended:?}"),
            answer = log_in(address) => {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert!(answer.contains("@alice:localhost"), "{answer}");
            }
        }
    }
}
