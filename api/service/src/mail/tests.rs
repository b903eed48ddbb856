use super::*;

fn mailer(templates: Option<&std::path::Path>) -> Result<Mailer, TemplateError> {
    Mailer::new(MailOptions {
        transport: MailTransport::Log,
        from: "jishu <no-reply@example.org>".parse().unwrap(),
        frontend_url: "https://app.example.org".to_owned(),
        templates: templates.map(std::path::Path::to_owned),
    })
}

fn delivery(kind: MailKind, payload: &str) -> Delivery {
    Delivery {
        message_id: "0b6e1c3e-6f0a-4c51-9d3f-0b1f6a1d2c3d".to_owned(),
        kind: kind.name().to_owned(),
        payload: payload.to_owned(),
        created_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

#[test]
fn every_kind_renders_with_the_same_id_each_time() {
    let mailer = mailer(None).unwrap();
    for kind in MailKind::ALL {
        let payload = r#"{"to":"asha@example.com","token":"jal_abc","expires_at":1800003600}"#;
        let render =
            || String::from_utf8(mailer.message(&delivery(kind, payload)).unwrap().formatted()).unwrap();
        let text = render();
        let id = "Message-ID: <0b6e1c3e-6f0a-4c51-9d3f-0b1f6a1d2c3d@example.org>";
        assert!(text.contains(id) && render().contains(id), "{text}");
        assert!(
            text.contains("To: asha@example.com") && text.contains("Auto-Submitted: auto-generated"),
            "{text}"
        );
        assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
        let link = kind.page().map(|page| format!("https://app.example.org{page}#token=jal_abc"));
        match link {
            Some(link) => assert_eq!(
                text.matches(&link).count(),
                2,
                "the link is not in the mail once as text and once as a link: {text}"
            ),
            None => assert!(!text.contains("jal_abc"), "{text}"),
        }
    }
}

#[test]
fn a_content_that_cannot_be_sent_fails_for_good() {
    let mailer = mailer(None).unwrap();
    for payload in ["", "{}", r#"{"to":"nobody"}"#] {
        let failure = mailer.message(&delivery(MailKind::EmailChanged, payload)).unwrap_err();
        assert!(failure.is_final, "{failure}");
    }
}

#[test]
fn a_wrong_template_of_the_operator_stops_the_start() {
    let folder = std::env::temp_dir().join(format!("jishu-templates-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let refused = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        let error = mailer(Some(&folder)).unwrap_err().to_string();
        std::fs::remove_file(folder.join(name)).unwrap();
        error
    };
    assert!(refused("reset_password.txt", "Subject: x\n\n{{ lnik }}").contains("reset_password.txt"));
    assert!(refused("reset_password.txt", "Subject: x\n\nNo link").contains("link"));
    assert!(refused("reset_password.html", "{% if %}").contains("reset_password.html"));
    assert!(refused("email_changed.txt", "Hello").contains("Subject:"));
    assert!(refused("emial_changed.txt", "Subject: x\n\nHello").contains("emial_changed.txt"));
    std::fs::write(folder.join("reset_password.txt"), "Subject: Neu\n\nHier: {{ link }}").unwrap();
    let mailer = mailer(Some(&folder)).unwrap();
    let payload = r#"{"to":"asha@example.com","token":"jal_abc","expires_at":1800003600}"#;
    let mail = mailer.message(&delivery(MailKind::ResetPassword, payload)).unwrap().formatted();
    assert!(String::from_utf8(mail).unwrap().contains("Subject: Neu"));
    std::fs::remove_dir_all(&folder).unwrap();
}
