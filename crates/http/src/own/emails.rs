//! Showing what a mail said: the code that somebody typed, or the page that its link opens.

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::Method;
use ruma::api::auth_scheme::NoAccessToken;
use serde::{Deserialize, Serialize};
use tertulia::{EmailProof, Homeserver, Language, Secret};

use super::endpoint::{Call, Nothing};
use crate::{Action, ApiError, Routes, endpoint::path_arguments, language::language, pages::page};

const CONFIRM: &str = include_str!("confirm.html");

/// What the page says in one language.
struct Words {
    language: &'static str,
    title: &'static str,
    question: &'static str,
    button: &'static str,
    done: &'static str,
    silence: &'static str,
    late: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    title: "Confirm your e-mail address",
    question: "Only go on if it was you who asked for this mail just now.",
    button: "It was me",
    done: "Thank you. You can close this window and go on where you came from.",
    silence: "The server did not answer. Try again.",
    late: "This link is too old, or was used up. Ask for another mail.",
};

const CHINESE: Words = Words {
    language: "zh-Hans",
    title: "确认您的邮箱地址",
    question: "仅当刚才是您本人请求了这封邮件时，才请继续。",
    button: "是我本人",
    done: "谢谢！您可以关闭此窗口，回到原来的地方继续。",
    silence: "服务器没有响应，请重试。",
    late: "此链接已过期或已失效，请重新获取邮件。",
};

impl Words {
    fn of(language: Language) -> Self {
        match language {
            Language::Chinese => CHINESE,
            _ => ENGLISH,
        }
    }

    /// The page in this language.
    fn page(&self) -> String {
        let said = [
            ("{language}", self.language),
            ("{title}", self.title),
            ("{question}", self.question),
            ("{button}", self.button),
            ("{done}", self.done),
            ("{silence}", self.silence),
            ("{late}", self.late),
        ];
        let page = CONFIRM.to_owned();
        said.into_iter().fold(page, |page, (place, words)| page.replace(place, words))
    }
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .own(Method::POST, "/email/submit", Action::Login, submit)
        .at(Method::GET, "/_tertulia/client/v1/email/confirm", ask)
        .own(Method::POST, "/email/confirm", Action::Login, confirm)
}

/// What a client submits, as identity servers take it.
#[derive(Deserialize)]
struct Submitted {
    sid: String,
    client_secret: Secret,
    token: Secret,
}

#[derive(Serialize)]
struct Success {
    success: bool,
}

async fn submit(
    server: Homeserver,
    call: Call<Nothing, Nothing, Submitted, NoAccessToken>,
) -> Result<Success, ApiError> {
    let Submitted { sid, client_secret, token } = call.body;
    server.submit_code(&EmailProof { session: sid, client_secret }, &token).await?;
    Ok(Success { success: true })
}

/// A page that asks whether it was meant. Programs look at links in mails before people do, so the link by itself
/// does nothing.
async fn ask(State(server): State<Homeserver>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if let Err(error) = path_arguments(&mut parts, &server).await {
        return error.into_response();
    }
    page(Words::of(language(&http::Request::from_parts(parts, ()))).page())
}

/// What the page sends, from its own address.
#[derive(Deserialize)]
struct Confirmed {
    session: String,
    token: Secret,
}

async fn confirm(
    server: Homeserver,
    call: Call<Nothing, Nothing, Confirmed, NoAccessToken>,
) -> Result<Nothing, ApiError> {
    server.follow_link(&call.body.session, &call.body.token).await?;
    Ok(Nothing {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_everything_in_either_language() {
        for language in [Language::English, Language::Chinese] {
            let page = Words::of(language).page();
            assert!(!page.contains("=\"{") && !page.contains(">{"), "{page}");
            assert_eq!(page.contains("邮箱"), language == Language::Chinese);
        }
    }
}
