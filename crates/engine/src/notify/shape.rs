//! Owns what a webhook is sent: a message in Turno's own shape or in that of a service, and its signature. It sends
//! nothing.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use turno_core::notice::{Kind, Message};

use crate::config::Shape;
use crate::secret::Secret;

/// The version of Turno's own shape. It grows when a field changes its meaning, which is meant never to happen.
const FORMAT: u32 = 1;
/// Discord takes no longer text.
const DISCORD: usize = 1900;
/// Nor ntfy, in bytes: longer ones become attachments.
const NTFY: usize = 3900;
/// Nor anybody else.
const OTHERS: usize = 8000;

/// What is posted, and to where.
#[derive(Debug, PartialEq)]
pub(super) struct Letter {
    pub(super) url: Secret,
    pub(super) body: Vec<u8>,
}

/// A message in Turno's own shape.
pub(super) fn plain(message: &Message) -> Value {
    let mut value = json!({ "format": FORMAT });
    if let (Value::Object(all), Ok(Value::Object(fields))) = (&mut value, serde_json::to_value(message)) {
        all.extend(fields);
    }
    value
}

/// A message for a webhook.
pub(super) fn letter(message: &Message, shape: Shape, url: &Secret) -> Letter {
    let Message {
        project, title, text, ..
    } = message;
    let (url, body) = match shape {
        Shape::Plain => (url.clone(), plain(message)),
        Shape::Slack => {
            let escape = |t: &str| t.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let text = format!("*{}*: {}\n{}", escape(project), escape(title), escape(text));
            (url.clone(), json!({ "text": cut(text.trim_end(), OTHERS) }))
        }
        Shape::Discord => {
            // What agents write calls nobody.
            let content = format!("**{project}**: {title}\n{text}");
            let body = json!({
                "username": "Turno",
                "content": cut(content.trim_end(), DISCORD),
                "allowed_mentions": { "parse": [] },
            });
            (url.clone(), body)
        }
        Shape::Ntfy => {
            let (at, topic) = topic(url.reveal());
            let body = json!({
                "topic": topic,
                "title": cut(&format!("{project}: {title}"), 250),
                "message": cut(if text.is_empty() { title } else { text }, NTFY),
                "priority": if is_urgent(message) { 4 } else { 3 },
            });
            (Secret::new(at), body)
        }
    };
    Letter {
        url,
        body: body.to_string().into_bytes(),
    }
}

/// Whether somebody is waited for.
pub(super) fn is_urgent(message: &Message) -> bool {
    let urgent = |kind: &Kind| match kind {
        Kind::Decision | Kind::Tampering | Kind::Budget | Kind::Room => true,
        Kind::Test
        | Kind::Ended
        | Kind::Parked
        | Kind::Ready
        | Kind::Account
        | Kind::Follow
        | Kind::Restarted
        | Kind::Landed => false,
    };
    message.counts.keys().any(urgent)
}

/// The server of a topic, to which JSON is sent, and its name.
fn topic(url: &str) -> (String, String) {
    let trimmed = url.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        // `https://host` alone has no topic: the server says so.
        Some((at, topic)) if !at.ends_with('/') => (format!("{at}/"), topic.to_owned()),
        Some(_) | None => (url.to_owned(), String::new()),
    }
}

/// At most so many bytes of a text.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let at = (0..=most)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{}…", &text[..at])
}

/// The signature of a body: `sha256=` and the HMAC in hex.
pub(super) fn signature(secret: &Secret, body: &[u8]) -> Option<String> {
    // A key may have any length, so there is none that is refused.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    Some(format!("sha256={hex}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn message(text: &str) -> Message {
        Message {
            id: "w-a-7".to_owned(),
            project: "app".to_owned(),
            title: "<!channel> 1 & 2".to_owned(),
            text: text.to_owned(),
            counts: BTreeMap::from([(Kind::Decision, 1)]),
            notices: Vec::new(),
            more: 0,
        }
    }

    fn sent(shape: Shape, url: &str, text: &str) -> (String, Value) {
        let letter = letter(&message(text), shape, &Secret::new(url));
        (
            letter.url.reveal().to_owned(),
            serde_json::from_slice(&letter.body).unwrap(),
        )
    }

    #[test]
    fn each_service_gets_what_it_understands() {
        let (url, body) = sent(Shape::Plain, "https://a.example/x", "more");
        assert_eq!(url, "https://a.example/x");
        assert_eq!(
            (&body["format"], &body["id"], &body["counts"]["decision"]),
            (&json!(1), &json!("w-a-7"), &json!(1))
        );
        let (_, body) = sent(Shape::Slack, "https://a.example", "<@U1>");
        assert_eq!(
            body,
            json!({ "text": "*app*: &lt;!channel&gt; 1 &amp; 2\n&lt;@U1&gt;" })
        );
        let (_, body) = sent(Shape::Discord, "https://a.example", "@everyone");
        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
        let (url, body) = sent(Shape::Ntfy, "https://ntfy.example/my-topic/", "wörds");
        assert_eq!(
            (url.as_str(), &body["topic"]),
            ("https://ntfy.example/", &json!("my-topic"))
        );
        assert_eq!(
            (&body["message"], &body["priority"]),
            (&json!("wörds"), &json!(4))
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = "ö".repeat(9000);
        for (shape, key, most) in [
            (Shape::Slack, "text", 8010),
            (Shape::Discord, "content", 1910),
            (Shape::Ntfy, "message", 3910),
        ] {
            let (_, body) = sent(shape, "https://a.example/t", &long);
            let text = body[key].as_str().unwrap();
            assert!(text.len() <= most && text.ends_with('…'), "{key}: {}", text.len());
        }
    }

    #[test]
    fn a_body_is_signed_as_rfc_4231_says() {
        let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?").unwrap();
        assert_eq!(
            signed,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
