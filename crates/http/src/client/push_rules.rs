//! Push rules.

use ruma::{
    api::client::push::{
        PushRule, delete_pushrule, get_pushrule, get_pushrule_actions, get_pushrule_enabled,
        get_pushrules_all, get_pushrules_global_scope, set_pushrule, set_pushrule_actions,
        set_pushrule_enabled,
    },
    push::RuleKind,
};
use tertulia::{Error, Homeserver, PushRuleChange, Session};

use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .endpoint(all)
        .endpoint(global)
        .endpoint(get)
        .endpoint(is_enabled)
        .endpoint(actions)
        .endpoint(set)
        .endpoint_on(Action::Other, delete)
        .endpoint_on(Action::Other, enable)
        .endpoint_on(Action::Other, set_actions)
}

async fn all(
    _: Homeserver,
    call: Matrix<get_pushrules_all::v3::Request>,
) -> Result<get_pushrules_all::v3::Response, ApiError> {
    Ok(get_pushrules_all::v3::Response::new(call.from.push_rules().await?))
}

async fn global(
    _: Homeserver,
    call: Matrix<get_pushrules_global_scope::v3::Request>,
) -> Result<get_pushrules_global_scope::v3::Response, ApiError> {
    Ok(get_pushrules_global_scope::v3::Response::new(call.from.push_rules().await?))
}

async fn rule(session: &Session, kind: RuleKind, id: &str) -> Result<PushRule, Error> {
    use RuleKind::{Content, Override, Room, Sender, Underride};
    if ![Override, Underride, Sender, Room, Content].contains(&kind) {
        return Err(Error::Invalid("the kind of the push rule"));
    }
    let rules = session.push_rules().await?;
    rules.get(kind, id).map(PushRule::from).ok_or(Error::NotFound("push rule"))
}

async fn get(
    _: Homeserver,
    call: Matrix<get_pushrule::v3::Request>,
) -> Result<get_pushrule::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let rule = rule(&from, request.kind, &request.rule_id).await?;
    Ok(get_pushrule::v3::Response::new(rule))
}

async fn is_enabled(
    _: Homeserver,
    call: Matrix<get_pushrule_enabled::v3::Request>,
) -> Result<get_pushrule_enabled::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let rule = rule(&from, request.kind, &request.rule_id).await?;
    Ok(get_pushrule_enabled::v3::Response::new(rule.enabled))
}

async fn actions(
    _: Homeserver,
    call: Matrix<get_pushrule_actions::v3::Request>,
) -> Result<get_pushrule_actions::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let rule = rule(&from, request.kind, &request.rule_id).await?;
    Ok(get_pushrule_actions::v3::Response::new(rule.actions))
}

async fn set(
    _: Homeserver,
    call: Matrix<set_pushrule::v3::Request>,
) -> Result<set_pushrule::v3::Response, ApiError> {
    let set_pushrule::v3::Request { rule, before, after, .. } = call.request;
    call.from.change_push_rules(PushRuleChange::Put { rule, after, before }).await?;
    Ok(set_pushrule::v3::Response::new())
}

async fn delete(
    _: Homeserver,
    call: Matrix<delete_pushrule::v3::Request>,
) -> Result<delete_pushrule::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    from.change_push_rules(PushRuleChange::Delete(request.kind, request.rule_id)).await?;
    Ok(delete_pushrule::v3::Response::new())
}

async fn enable(
    _: Homeserver,
    call: Matrix<set_pushrule_enabled::v3::Request>,
) -> Result<set_pushrule_enabled::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let change = PushRuleChange::Enable(request.kind, request.rule_id, request.enabled);
    from.change_push_rules(change).await?;
    Ok(set_pushrule_enabled::v3::Response::new())
}

async fn set_actions(
    _: Homeserver,
    call: Matrix<set_pushrule_actions::v3::Request>,
) -> Result<set_pushrule_actions::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let change = PushRuleChange::Actions(request.kind, request.rule_id, request.actions);
    from.change_push_rules(change).await?;
    Ok(set_pushrule_actions::v3::Response::new())
}
