//! The content repository: files stream up and down, and are never in memory as a whole.

mod attended;
mod serve;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Query, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, header::CONTENT_LENGTH, header::CONTENT_TYPE, request::Parts};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedMxcUri, OwnedServerName, UInt,
    api::{
        IncomingRequest, IncomingRequestExt as _,
        auth_scheme::AccessToken,
        client::{authenticated_media as authenticated, media as legacy, media::create_mxc_uri},
        path_builder::PathBuilder as _,
    },
    media::Method as Way,
};
use serde::Deserialize;
use serde_json::json;
use tertulia::{Homeserver, Label, Resizing, Session, ThumbnailWish, Upload};

use crate::{
    Action, Answer, ApiError, Endpoints as _, Identify, Matrix, Reply, Routes, Terms, body,
    endpoint::path_arguments, observe::Site,
};

pub(crate) fn routes() -> Routes {
    let uploads = Routes::new()
        .at(Method::POST, "/_matrix/media/r0/upload", upload)
        .at(Method::POST, "/_matrix/media/v1/upload", upload)
        .at(Method::POST, "/_matrix/media/v3/upload", upload)
        .at(Method::PUT, "/_matrix/media/v3/upload/{server_name}/{media_id}", fill)
        .at(
            Method::PUT,
            "/_matrix/media/unstable/fi.mau.msc2246/upload/{server_name}/{media_id}",
            fill,
        )
        .endpoint_on(Action::Upload, create);
    Routes::new().merge(uploads).merge(authenticated_routes()).merge(legacy_routes())
}

fn authenticated_routes() -> Routes {
    Routes::new()
        .endpoint(config)
        .files::<authenticated::get_content::v1::Request>()
        .files::<authenticated::get_content_as_filename::v1::Request>()
        .files::<authenticated::get_content_thumbnail::v1::Request>()
}

#[expect(deprecated, reason = "clients from before Matrix 1.11 use these")]
fn legacy_routes() -> Routes {
    Routes::new()
        .endpoint_on(Terms::default().also(&["/_matrix/media/v1/config"]), legacy_config)
        .files::<legacy::get_content::v3::Request>()
        .files::<legacy::get_content_as_filename::v3::Request>()
        .files::<legacy::get_content_thumbnail::v3::Request>()
}

async fn config(
    server: Homeserver,
    _: Matrix<authenticated::get_media_config::v1::Request>,
) -> Result<authenticated::get_media_config::v1::Response, ApiError> {
    Ok(authenticated::get_media_config::v1::Response::new(largest_upload(&server)))
}

#[expect(deprecated, reason = "clients from before Matrix 1.11 use it")]
async fn legacy_config(
    server: Homeserver,
    _: Matrix<legacy::get_media_config::v3::Request>,
) -> Result<legacy::get_media_config::v3::Response, ApiError> {
    Ok(legacy::get_media_config::v3::Response::new(largest_upload(&server)))
}

fn largest_upload(server: &Homeserver) -> UInt {
    UInt::try_from(server.settings().max_upload_size).unwrap_or(UInt::MAX)
}

#[derive(Deserialize)]
struct UploadQuery {
    filename: Option<String>,
}

/// Tells a URI whose file comes later.
async fn create(
    _: Homeserver,
    Matrix { from, .. }: Matrix<create_mxc_uri::v1::Request>,
) -> Result<create_mxc_uri::v1::Response, ApiError> {
    let reserved = from.reserve_media().await?;
    let mut response = create_mxc_uri::v1::Response::new(reserved.uri);
    response.unused_expires_at =
        UInt::try_from(reserved.expires).ok().map(MilliSecondsSinceUnixEpoch);
    Ok(response)
}

/// Takes a file and tells its URI.
async fn upload(State(server): State<Homeserver>, request: Request) -> Response {
    let uri = async {
        let (mut parts, body) = request.into_parts();
        arguments(&mut parts, &server).await?;
        let request = Request::from_parts(parts, body);
        let (from, label, sent) = Sent::open(&server, request).await?;
        sent.pour(from.upload(label).await?).await
    };
    match uri.await {
        Ok(uri) => answer(json!({ "content_uri": uri })),
        Err(error) => error.into_response(),
    }
}

/// Takes the file of a URI that was told before.
async fn fill(State(server): State<Homeserver>, request: Request) -> Response {
    let filled = async {
        let (mut parts, body) = request.into_parts();
        let arguments = arguments(&mut parts, &server).await?;
        let request = Request::from_parts(parts, body);
        let (from, label, sent) = Sent::open(&server, request).await?;
        let (name, id) = place(&arguments)?;
        sent.pour(from.upload_to(&name, id, label).await?).await
    };
    match filled.await {
        Ok(_) => answer(json!({})),
        Err(error) => error.into_response(),
    }
}

fn answer(body: serde_json::Value) -> Response {
    Reply::<()>::reply(Answer(body)).unwrap_or_else(ApiError::into_response)
}

/// The values of the path's parameters, percent-decoded and in order.
async fn arguments(parts: &mut Parts, server: &Homeserver) -> Result<Vec<String>, ApiError> {
    let arguments = path_arguments(parts, server).await?;
    Ok(arguments.iter().map(|(_, value)| value.to_owned()).collect())
}

/// What stands behind `mxc://` in a URI. What is no server's name has no files here.
fn place(arguments: &[String]) -> Result<(OwnedServerName, &str), ApiError> {
    let [server, id] = arguments else { return Err(ApiError::not_found("there is no such file")) };
    let server = OwnedServerName::try_from(server.as_str()).map_err(ApiError::invalid_param)?;
    Ok((server, id))
}

/// A file that is being sent, piece by piece.
struct Sent {
    body: Body,
    announced: Option<u64>,
}

impl Sent {
    /// Who sends a file, and what is said of it.
    async fn open(
        server: &Homeserver,
        request: Request,
    ) -> Result<(Session, Label, Self), ApiError> {
        let (parts, body) = request.into_parts();
        let head = http::Request::from_parts(parts, ());
        let from = AccessToken::identify(server, &head).await?;
        if let Some(site) = head.extensions().get::<Arc<Site>>() {
            site.check(Action::Upload, Some(from.id()), &head)?;
        }
        let query = Query::<UploadQuery>::try_from_uri(head.uri());
        let name = query.map_err(ApiError::invalid_param)?.0.filename;
        let announced = header(head.headers(), CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.parse().ok());
        let content_type = header(head.headers(), CONTENT_TYPE).map(ToOwned::to_owned);
        Ok((from, Label { content_type, name }, Self { body, announced }))
    }

    /// Passes the file on to the library, which never has all of it in memory.
    async fn pour(self, mut upload: Upload) -> Result<OwnedMxcUri, ApiError> {
        if let Some(size) = self.announced {
            upload.announce(size)?;
        }
        let mut pieces = self.body.into_data_stream();
        while let Some(piece) = body::next_piece(&mut pieces).await? {
            upload.write(piece).await?;
        }
        Ok(upload.finish().await?)
    }
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A request for a file, in one of the ways that there are.
trait FileRequest: IncomingRequest {
    fn into_wish(self) -> Result<Wish, ApiError>;
}

/// Which file is wanted, and in what shape.
struct Wish {
    server: OwnedServerName,
    id: String,
    /// How long to wait for a file that is still to come.
    timeout: Duration,
    shape: Shape,
}

enum Shape {
    /// The file under its own name.
    Whole,
    /// The file under another name.
    Named(String),
    /// A smaller picture of the file.
    Thumbnail(ThumbnailWish),
}

/// Implements [`FileRequest`] for requests that name the same things in the same way.
macro_rules! file_requests {
    ($($request:ty => |$it:ident| $shape:expr;)*) => {$(
        #[allow(deprecated, reason = "half of the types are those of before Matrix 1.11")]
        impl FileRequest for $request {
            fn into_wish(self) -> Result<Wish, ApiError> {
                let $it = self;
                let shape = $shape;
                Ok(Wish {
                    server: $it.server_name,
                    id: $it.media_id,
                    timeout: $it.timeout_ms,
                    shape,
                })
            }
        }
    )*};
}

file_requests! {
    authenticated::get_content::v1::Request => |it| Shape::Whole;
    authenticated::get_content_as_filename::v1::Request => |it| Shape::Named(it.filename);
    authenticated::get_content_thumbnail::v1::Request => |it| Shape::Thumbnail(ThumbnailWish {
        width: it.width.into(),
        height: it.height.into(),
        resizing: resizing(it.method)?,
        animated: it.animated == Some(true),
    });
    legacy::get_content::v3::Request => |it| Shape::Whole;
    legacy::get_content_as_filename::v3::Request => |it| Shape::Named(it.filename);
    legacy::get_content_thumbnail::v3::Request => |it| Shape::Thumbnail(ThumbnailWish {
        width: it.width.into(),
        height: it.height.into(),
        resizing: resizing(it.method)?,
        animated: it.animated == Some(true),
    });
}

/// A thumbnail shows all of a picture unless something else is said.
fn resizing(method: Option<Way>) -> Result<Resizing, ApiError> {
    match method {
        Some(Way::Crop) => Ok(Resizing::Crop),
        Some(Way::Scale) | None => Ok(Resizing::Scale),
        Some(_) => Err(ApiError::invalid_param("`method` is neither `crop` nor `scale`")),
    }
}

/// Adding endpoints that answer with a file.
trait Files {
    /// Serves files at every path that `R` has had.
    fn files<R: FileRequest + Send + 'static>(self) -> Self
    where
        R::Authentication: Identify;
}

impl Files for Routes {
    fn files<R: FileRequest + Send + 'static>(self) -> Self
    where
        R::Authentication: Identify,
    {
        let history = R::PATH_BUILDER;
        let paths = history.all_paths();
        let paths = paths.flat_map(|path| before_r0(path).into_iter().chain([path.to_owned()]));
        paths.fold(self, |router, path| {
            let handler = async |State(server): State<Homeserver>, request: Request| {
                let served = download::<R>(&server, request).await;
                served.unwrap_or_else(ApiError::into_response)
            };
            router.at(Method::GET, &path, handler)
        })
    }
}

/// Where a path was before version r0, which ruma does not know, and some clients use still.
fn before_r0(path: &str) -> Option<String> {
    path.strip_prefix("/_matrix/media/r0/").map(|rest| format!("/_matrix/media/v1/{rest}"))
}

async fn download<R: FileRequest>(
    server: &Homeserver,
    request: Request,
) -> Result<Response, ApiError>
where
    R::Authentication: Identify,
{
    let (mut parts, _) = request.into_parts();
    let arguments = arguments(&mut parts, server).await?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let head = http::Request::from_parts(parts, ());
    let from = R::Authentication::identify(server, &head).await?;
    if let Some(site) = head.extensions().get::<Arc<Site>>() {
        site.check(Action::Download, R::Authentication::user(&from), &head)?;
    }
    let asked = head.headers().clone();
    let wish =
        R::try_from_http_request(head.map(|()| [0_u8; 0].as_slice()), &arguments)?.into_wish()?;
    let media = server.await_media(&wish.server, &wish.id, wish.timeout).await?;
    match wish.shape {
        Shape::Whole => serve::serve(&media, media.name(), &asked).await,
        Shape::Named(name) => serve::serve(&media, Some(&name), &asked).await,
        Shape::Thumbnail(wish) => {
            let media = media.thumbnail(wish).await?;
            serve::serve(&media, media.name(), &asked).await
        }
    }
}
