//! Files up and down.

use http::{StatusCode, header};
use tertulia_testkit::Client;

use super::Story;
use crate::witness::Witness;

/// A picture of one pixel.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
const BEFORE: &str = "/_matrix/media/v3";
const NOW: &str = "/_matrix/client/v1/media";

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    let alice = story.user("alice").await;
    let place = upload(&alice).await;
    let reserved = alice.post("/_matrix/media/v1/create").await.ok();
    let uri = reserved["content_uri"].as_str().unwrap();
    let path = format!("{BEFORE}/upload/{}", uri.strip_prefix("mxc://").unwrap());
    alice.put(path).body(PICTURE).await.ok();
    for root in [BEFORE, NOW] {
        alice.get(format!("{root}/config")).await.ok();
        alice.get(format!("{root}/download/example.org/none")).await.refused(404, "M_NOT_FOUND");
        for path in [
            format!("{root}/download/{place}"),
            format!("{root}/download/{place}/dot.gif"),
            format!("{root}/thumbnail/{place}?width=32&height=32&method=scale"),
        ] {
            assert_eq!(alice.get(path.as_str()).await.status, StatusCode::OK, "{path}");
        }
    }
}

/// Uploads the picture and tells what stands behind `mxc://` in its URI.
async fn upload(alice: &Client) -> String {
    let call = alice.post(format!("{BEFORE}/upload")).query("filename", "dot.gif");
    let told = call.header(header::CONTENT_TYPE, "image/gif").body(PICTURE).await.ok();
    told["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}
