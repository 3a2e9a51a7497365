//! Lanes under load, with failing, slow and new endpoints.

use domain::{DeliveryId, OrgId, WebhookId};

use super::{
    AT_ONCE_MAX, FAST_MAX, Fare, Lane, Lanes, ORG_AT_ONCE_MAX, Offer, Start, Target, UNPROVEN_MAX,
};

fn offer(lanes: &mut Lanes<()>, webhook: i64, delivery: i64, fare: Fare) -> Offer<()> {
    offer_of(lanes, webhook, (webhook, delivery), fare)
}

/// Of an endpoint of an organization.
fn offer_of(
    lanes: &mut Lanes<()>,
    org: i64,
    (webhook, delivery): (i64, i64),
    fare: Fare,
) -> Offer<()> {
    let target = Target { webhook: WebhookId(webhook), org: OrgId(org), fare };
    lanes.offer(target, (DeliveryId(delivery), false), ())
}

fn all(lanes: &mut Lanes<()>) -> Vec<Start<()>> {
    std::iter::from_fn(|| lanes.start()).collect()
}

#[test]
fn an_endpoint_has_few_attempts_at_a_time() {
    for (fare, at_once) in [(Fare::Proven, AT_ONCE_MAX), (Fare::New, 1), (Fare::Failing, 1)] {
        let mut lanes = Lanes::default();
        for delivery in 1..=10 {
            assert_eq!(offer(&mut lanes, 1, delivery, fare), Offer::Queued);
        }
        let started = all(&mut lanes);
        assert_eq!(started.len(), at_once, "{fare:?}");
        let first = &started[0];
        lanes.finished(first.webhook, first.delivery, first.lane, Some(fare));
        assert_eq!(all(&mut lanes).len(), 1, "{fare:?}");
    }
}

#[test]
fn any_number_of_others_leaves_room_for_one_that_answers() {
    let mut lanes = Lanes::default();
    for endpoint in 1..=2_000 {
        let fare = if endpoint % 2 == 0 { Fare::Failing } else { Fare::New };
        offer(&mut lanes, endpoint, endpoint, fare);
    }
    assert_eq!(all(&mut lanes).len(), UNPROVEN_MAX);
    offer(&mut lanes, 9_999, 9_999, Fare::Proven);
    assert_eq!(all(&mut lanes)[0].webhook, WebhookId(9_999));
}

#[test]
fn an_organization_has_few_attempts_at_a_time_however_many_endpoints() {
    for fare in [Fare::Proven, Fare::New] {
        let mut lanes = Lanes::default();
        for endpoint in 1..=200 {
            for delivery in 0..10 {
                offer_of(&mut lanes, 1, (endpoint, endpoint * 10 + delivery), fare);
            }
        }
        let started = all(&mut lanes);
        assert_eq!(started.len(), ORG_AT_ONCE_MAX, "{fare:?}");
        // Another's goes at once, and those of the first go on one by one.
        offer_of(&mut lanes, 2, (9_999, 9_999), Fare::Proven);
        assert_eq!(all(&mut lanes)[0].webhook, WebhookId(9_999));
        let first = &started[0];
        lanes.finished(first.webhook, first.delivery, first.lane, Some(fare));
        assert_eq!(all(&mut lanes).len(), 1, "{fare:?}");
        // What is slow holds no place of the organization.
        lanes.slowed(started[1].webhook, started[1].lane);
        assert_eq!(all(&mut lanes).len(), 1, "{fare:?}");
    }
}

#[test]
fn endpoints_that_begin_to_hang_give_way() {
    let mut lanes = Lanes::default();
    for endpoint in 1..=600 {
        for delivery in 0..10 {
            offer(&mut lanes, endpoint, endpoint * 10 + delivery, Fare::Proven);
        }
    }
    let started = all(&mut lanes);
    assert_eq!(started.len(), FAST_MAX);
    offer(&mut lanes, 9_999, 9_999, Fare::Proven);
    assert!(lanes.start().is_none());
    for attempt in started {
        lanes.slowed(attempt.webhook, attempt.lane);
    }
    let started = all(&mut lanes);
    assert!(started.iter().any(|attempt| attempt.webhook == WebhookId(9_999)));
    // What hangs gets nothing more to hang.
    assert!(started.iter().all(|attempt| attempt.webhook.0 > 512), "{started:?}");
}

#[test]
fn what_is_known_or_too_much_is_given_back() {
    let mut lanes = Lanes::default();
    for delivery in 1..=16 {
        assert_eq!(offer(&mut lanes, 1, delivery, Fare::Failing), Offer::Queued);
    }
    assert_eq!(offer(&mut lanes, 1, 1, Fare::Failing), Offer::Known(()));
    assert_eq!(offer(&mut lanes, 1, 9_999, Fare::Failing), Offer::Full((), Fare::Failing));
    assert_eq!(offer(&mut lanes, 2, 9_999, Fare::Failing), Offer::Queued);
}

#[test]
fn what_waits_for_an_endpoint_that_breaks_is_given_back() {
    let mut lanes = Lanes::default();
    for delivery in 1..=10 {
        offer(&mut lanes, 1, delivery, Fare::Proven);
        offer(&mut lanes, 2, 100 + delivery, Fare::New);
    }
    let started = all(&mut lanes);
    let mut given_back = 0;
    for start in started.iter().filter(|start| start.webhook == WebhookId(1)) {
        let Start { webhook, delivery, lane, .. } = *start;
        given_back += lanes.finished(webhook, delivery, lane, Some(Fare::Broken)).len();
    }
    assert_eq!(given_back, 10 - AT_ONCE_MAX);
    assert_eq!(lanes.queued(), 9);
    // What was given back may come again, and the other goes on.
    assert_eq!(offer(&mut lanes, 1, 10, Fare::Broken), Offer::Queued);
    assert_eq!(all(&mut lanes).len(), 1);
}

#[test]
fn what_waits_for_endpoints_that_fail_takes_no_room_of_others() {
    let mut lanes = Lanes::default();
    let mut delivery = 0;
    let mut refused = 0;
    for endpoint in 1..=2_000 {
        for _ in 0..16 {
            delivery += 1;
            let offered = offer(&mut lanes, endpoint, delivery, Fare::Failing);
            refused += usize::from(offered != Offer::Queued);
        }
    }
    assert!(refused > 0);
    assert_eq!(offer(&mut lanes, 9_999, delivery + 1, Fare::Proven), Offer::Queued);
}

#[test]
fn everything_that_was_queued_starts_once() {
    let mut lanes = Lanes::default();
    let mut offered = 0;
    for endpoint in 1..=50 {
        for delivery in 0..20 {
            let fare = match endpoint % 3 {
                0 => Fare::New,
                1 => Fare::Proven,
                _ => Fare::Failing,
            };
            // Of a failing endpoint not all are taken.
            let answer = offer(&mut lanes, endpoint, endpoint * 100 + delivery, fare);
            offered += usize::from(answer == Offer::Queued);
        }
    }
    let mut seen = std::collections::HashSet::new();
    while let Some(start) = lanes.start() {
        assert!(seen.insert(start.delivery));
        let is_odd = start.delivery.0 % 2 == 1;
        let lane = if is_odd { Lane::Slow } else { start.lane };
        if is_odd {
            lanes.slowed(start.webhook, start.lane);
        }
        let fare = if start.delivery.0 % 5 == 0 { Fare::Failing } else { Fare::Proven };
        lanes.finished(start.webhook, start.delivery, lane, Some(fare));
    }
    assert_eq!(seen.len(), offered);
    assert_eq!(lanes.queued(), 0);
    assert!(lanes.endpoints.is_empty() && lanes.known.is_empty() && lanes.by_org.is_empty());
    assert_eq!(lanes.in_flight().map(|(_, count)| count), [0, 0, 0]);
}
