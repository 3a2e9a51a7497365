//! What an attempt means: success, or when to try again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::Timestamp;
use outbound::{Answer, Failure};
use store::actions::deliveries::{Claimed, FAILURES_TO_BREAK, Failed};

/// How far a pause may be off, either way.
const JITTER: f64 = 0.2;
/// The longest pause between two probes.
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(600);
/// The pause between two probes where there is no schedule.
const PROBE_PAUSE_DEFAULT: Duration = Duration::from_secs(30);
/// The status that says that an endpoint is gone for good.
const GONE: u16 = 410;

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Sent { status: u16 },
    Failed(Failed),
}

/// Judges an attempt. Everything but 2xx is a failure, a redirect included.
pub(crate) fn judge(
    schedule: &[Duration],
    claimed: &Claimed,
    result: Result<Answer, Failure>,
    now: Timestamp,
) -> Outcome {
    let hangs = matches!(result, Err(Failure::Timeout));
    let (status, error, asked) = match result {
        Ok(answer) if (200..300).contains(&answer.status) => {
            return Outcome::Sent { status: answer.status };
        }
        Ok(answer) => {
            let asked = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
            (Some(answer.status), format!("the endpoint answered {}", answer.status), asked)
        }
        Err(failure) => (None, failure.to_string(), None),
    };
    Outcome::Failed(Failed {
        status,
        error,
        retry_after: pause(schedule, claimed.retries, asked),
        breaks: hangs,
        probe_after: probe_pause(schedule, claimed.failures_in_row + 1),
        disable: (status == Some(GONE)).then_some("the endpoint answered 410 Gone"),
    })
}

/// The pause after the attempt that followed `retries` others. What the endpoint asked for is
/// honoured up to the schedule's next step.
fn pause(schedule: &[Duration], retries: i32, asked: Option<Duration>) -> Option<Duration> {
    let step = usize::try_from(retries).unwrap_or(0);
    let pause = *schedule.get(step)?;
    let longest = *schedule.get(step + 1).unwrap_or(&pause);
    let jittered = jittered(pause);
    Some(match asked {
        Some(asked) => jittered.max(asked.min(longest.max(pause))),
        None => jittered,
    })
}

fn probe_pause(schedule: &[Duration], failures_in_row: i32) -> Duration {
    let step = usize::try_from(failures_in_row - FAILURES_TO_BREAK).unwrap_or(0);
    let pause = schedule.get(step).or(schedule.last()).copied().unwrap_or(PROBE_PAUSE_DEFAULT);
    jittered(pause.min(PROBE_PAUSE_MAX))
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(1.0 - JITTER..=1.0 + JITTER))
}

/// The header `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(Timestamp::from(date.with_timezone(&Utc)).since(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::Timestamp;

    use super::{pause, probe_pause, retry_after};

    const SCHEDULE: [Duration; 3] =
        [Duration::from_secs(10), Duration::from_secs(100), Duration::from_secs(1_000)];

    #[test]
    fn pauses_follow_the_schedule_with_jitter() {
        for (retries, seconds) in [(0, 8..=12), (1, 80..=120), (2, 800..=1_200)] {
            let pause = pause(&SCHEDULE, retries, None).unwrap();
            assert!(seconds.contains(&pause.as_secs()), "{retries}: {pause:?}");
        }
        assert_eq!(pause(&SCHEDULE, 3, None), None);
    }

    #[test]
    fn what_the_endpoint_asks_for_is_honoured_up_to_the_next_step() {
        let seconds = |retries, asked| {
            pause(&SCHEDULE, retries, Some(Duration::from_secs(asked))).unwrap().as_secs()
        };
        assert_eq!(seconds(0, 40), 40);
        assert_eq!(seconds(0, 4_000), 100);
        assert!((8..=12).contains(&seconds(0, 1)));
        assert!((1_000..=1_200).contains(&seconds(2, 4_000)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_unix_seconds(1_445_412_420).unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
    }

    #[test]
    fn probes_come_less_and_less_often() {
        assert!((8..=12).contains(&probe_pause(&SCHEDULE, 5).as_secs()));
        assert!((80..=120).contains(&probe_pause(&SCHEDULE, 6).as_secs()));
        assert!((480..=720).contains(&probe_pause(&SCHEDULE, 50).as_secs()));
        assert!((24..=36).contains(&probe_pause(&[], 5).as_secs()));
    }
}
