//! Whose turn it is: organizations take turns, and within one its endpoints. Pure.

use std::collections::{HashMap, VecDeque};

use domain::{OrgId, WebhookId};

/// Endpoints that may be able to start something, each once.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Organizations with endpoints in line.
    orgs: VecDeque<OrgId>,
    endpoints: HashMap<OrgId, VecDeque<WebhookId>>,
}

impl Turns {
    /// Puts an endpoint at the end of its organization's line.
    pub(crate) fn push(&mut self, org: OrgId, webhook: WebhookId) {
        let line = self.endpoints.entry(org).or_default();
        if line.is_empty() {
            self.orgs.push_back(org);
        }
        line.push_back(webhook);
    }

    /// Takes the next endpoint out of its line. Organizations that may not start anything now are
    /// passed over and keep their endpoints.
    pub(crate) fn next(&mut self, may_start: impl Fn(OrgId) -> bool) -> Option<WebhookId> {
        for _ in 0..self.orgs.len() {
            let org = self.orgs.pop_front()?;
            if !may_start(org) {
                self.orgs.push_back(org);
                continue;
            }
            let Some(line) = self.endpoints.get_mut(&org) else { continue };
            let webhook = line.pop_front();
            if line.is_empty() {
                self.endpoints.remove(&org);
            } else {
                self.orgs.push_back(org);
            }
            if webhook.is_some() {
                return webhook;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use domain::{OrgId, WebhookId};

    use super::Turns;

    #[test]
    fn organizations_take_turns_however_many_endpoints_they_have() {
        let mut turns = Turns::default();
        for webhook in 1..=50 {
            turns.push(OrgId(1), WebhookId(webhook));
        }
        turns.push(OrgId(2), WebhookId(100));
        turns.push(OrgId(3), WebhookId(200));
        turns.push(OrgId(3), WebhookId(201));
        let order: Vec<_> = std::iter::from_fn(|| turns.next(|_| true)).map(|one| one.0).collect();
        assert_eq!(order[..6], [1, 100, 200, 2, 201, 3]);
        assert_eq!(order.len(), 53);
        assert!(turns.orgs.is_empty() && turns.endpoints.is_empty());
    }

    #[test]
    fn who_may_not_start_keeps_its_place_in_line() {
        let mut turns = Turns::default();
        turns.push(OrgId(1), WebhookId(1));
        turns.push(OrgId(2), WebhookId(2));
        assert_eq!(turns.next(|org| org != OrgId(1)), Some(WebhookId(2)));
        assert_eq!(turns.next(|org| org != OrgId(1)), None);
        assert_eq!(turns.next(|_| true), Some(WebhookId(1)));
    }
}
