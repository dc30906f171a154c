//! Receipts and read markers.

use ruma::api::client::{
    read_marker::set_read_marker,
    receipt::create_receipt::{self, v3::ReceiptType},
};
use tertulia::{Homeserver, ReadMarks};

use crate::{ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().endpoint(give_receipt).endpoint(set_marks)
}

async fn give_receipt(
    _: Homeserver,
    call: Matrix<create_receipt::v3::Request>,
) -> Result<create_receipt::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let mut marks = ReadMarks { thread: request.thread, ..ReadMarks::default() };
    let mark = match request.receipt_type {
        ReceiptType::Read => &mut marks.read,
        ReceiptType::ReadPrivate => &mut marks.read_private,
        ReceiptType::FullyRead => &mut marks.fully_read,
        other => return Err(ApiError::invalid_param(format!("no such receipt type: {other}"))),
    };
    *mark = Some(request.event_id);
    from.mark_read(&request.room_id, marks).await?;
    Ok(create_receipt::v3::Response::new())
}

async fn set_marks(
    _: Homeserver,
    call: Matrix<set_read_marker::v3::Request>,
) -> Result<set_read_marker::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let marks = ReadMarks {
        fully_read: request.fully_read,
        read: request.read_receipt,
        read_private: request.private_read_receipt,
        ..ReadMarks::default()
    };
    from.mark_read(&request.room_id, marks).await?;
    Ok(set_read_marker::v3::Response::new())
}
