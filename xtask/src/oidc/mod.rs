//! People who show a token of an OpenID Connect provider, a real one: whom the API lets in, with which rights, and whom not.

mod issuer;

use std::{
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    cluster_of_two::{Built, CLUSTER, Pair},
    process::until,
};
use issuer::{AUDIENCE, Issuer, Signer};

/// Why it cannot run here, when it cannot.
pub(crate) fn missing() -> Option<String> {
    let there = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let missing = ["node", "npm"].into_iter().find(|program| !there(program))?;
    Some(format!("{missing} is missing: apt-get install nodejs npm"))
}

/// Runs the promises one after the other, on one server.
pub(crate) fn run(built: &Built, directory: &Path) -> Vec<(&'static str, Result<()>)> {
    let mut outcomes = Vec::new();
    let mut note = |name: &'static str, outcome: Result<()>| {
        eprintln!("  {} {name}", if outcome.is_ok() { "ok  " } else { "FAIL" });
        outcomes.push((name, outcome));
    };
    let mut stage = match Stage::start(built, directory) {
        Ok(stage) => stage,
        Err(error) => return vec![("a server believes a real OpenID Connect provider", Err(error))],
    };
    note("a server starts and serves while its issuer is away, and says 503 to the issuer's tokens", stage.away());
    note("claims decide the role and the clusters of a token's caller", stage.rights());
    note("no token that is expired, foreign, unsigned or forged lets anybody in", stage.refusals());
    note("an issuer's new keys are believed, and its former ones no more", stage.rotation());
    note("an issuer that goes away disturbs nobody whose key is known", stage.down());
    note("no token of an issuer is in the server's log", stage.log());
    outcomes
}

struct Stage<'a> {
    pair: Pair<'a>,
    issuer: Issuer,
    /// Every token that the server was shown.
    shown: Vec<String>,
}

impl<'a> Stage<'a> {
    fn start(built: &'a Built, directory: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let issuer = Issuer::ready(&directory.join("issuer"))?;
        let config = json!({
            "auth": {
                "mode": "oidc",
                "oidc": {
                    "issuer": issuer.url(),
                    "audience": AUDIENCE,
                    "clusterClaim": "clusters",
                    "roles": {"viewer": ["claiflow-viewers"], "operator": ["claiflow-operators"], "admin": ["claiflow-admins"]},
                },
            },
        });
        let pair = Pair::start_with(built, directory, config.to_string(), (0, 0))?;
        Ok(Self { pair, issuer, shown: Vec::new() })
    }

    /// A call with a token; its status, its body, and whether the answer says how to authenticate.
    fn call(&mut self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.shown.push(token.to_owned());
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let (url, bearer) = (format!("{}{path}", self.pair.base()), format!("Bearer {token}"));
        let mut response = match body {
            Some(body) if method == "POST" => agent
                .post(&url)
                .header("authorization", &bearer)
                .header("content-type", "application/json")
                .send(body.to_string())?,
            _ => agent.get(&url).header("authorization", &bearer).call()?,
        };
        let status = response.status().as_u16();
        let says_how = response
            .headers()
            .get("www-authenticate")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("Bearer"));
        ensure!((status == 401) == says_how, "{method} {path}: {status}, and WWW-Authenticate is there: {says_how}");
        let text = response.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    fn expect(&mut self, token: &str, method: &str, path: &str, body: Option<&Value>, status: u16) -> Result<Value> {
        let (said, answer) = self.call(token, method, path, body)?;
        ensure!(said == status, "{method} {path}: {said}, not {status}: {answer}");
        Ok(answer)
    }

    /// Claims of an admin that begin to hold before now and end `end` seconds after it.
    fn claims(&self, end: i64, audience: &str) -> Result<Value> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        Ok(json!({
            "iss": self.issuer.url(),
            "sub": "mallory",
            "aud": audience,
            "iat": now - 100,
            "exp": now + end,
            "roles": ["claiflow-admins"],
            "clusters": "*",
        }))
    }

    fn away(&mut self) -> Result<()> {
        self.issuer.start()?;
        let token = self.issuer.token("reader", AUDIENCE, "RS256")?;
        self.issuer.stop()?;
        self.expect(&token, "GET", "/api/v1/cluster", None, 503)?;
        self.issuer.start()?;
        self.patiently("the issuer is asked again", &token, 200)
    }

    fn rights(&mut self) -> Result<()> {
        let cluster = json!({"uuid": CLUSTER, "name": "c"});
        for algorithm in ["RS256", "ES256"] {
            let reader = self.issuer.token("reader", AUDIENCE, algorithm)?;
            self.expect(&reader, "GET", "/api/v1/cluster", None, 200)?;
            self.expect(&reader, "POST", "/api/v1/cluster", Some(&cluster), 403)?;
            let operator = self.issuer.token("operator", AUDIENCE, algorithm)?;
            self.expect(&operator, "GET", "/api/v1/cluster", None, 200)?;
            self.expect(&operator, "POST", "/api/v1/cluster", Some(&cluster), 403)?;
            for nobody in ["stranger", "boundless"] {
                let token = self.issuer.token(nobody, AUDIENCE, algorithm)?;
                self.expect(&token, "GET", "/api/v1/cluster", None, 401)?;
            }
        }
        let admin = self.issuer.minted("RS256", &self.claims(60, AUDIENCE)?, Signer::Own)?;
        self.expect(&admin, "POST", "/api/v1/cluster", Some(&cluster), 200)?;
        let template = json!({"uuid": "t", "name": "t", "flow": [{"$id": "a", "$command": "helloworld"}]});
        self.expect(&admin, "POST", "/api/v1/template", Some(&template), 200)?;
        let operator = self.issuer.token("operator", AUDIENCE, "RS256")?;
        let task = json!({"template_uuid": "t", "cluster_uuids": [CLUSTER]});
        let made = self.expect(&operator, "POST", "/api/v1/service", Some(&task), 200)?;
        let elsewhere = json!({"template_uuid": "t", "cluster_uuids": ["000000000000000000000000000000ff"]});
        self.expect(&operator, "POST", "/api/v1/service", Some(&elsewhere), 403)?;
        let by = made.pointer("/0/created_by").and_then(Value::as_str);
        ensure!(by == Some("oidc:operator"), "the task is by {by:?}: {made}");
        Ok(())
    }

    fn refusals(&mut self) -> Result<()> {
        let right = self.claims(60, AUDIENCE)?;
        let mut other_issuer = right.clone();
        if let Some(claims) = other_issuer.as_object_mut() {
            claims.insert("iss".into(), "https://id.example.com".into());
        }
        let (expired, foreign) = (self.claims(-60, AUDIENCE)?, self.claims(60, "other")?);
        for (what, algorithm, claims, signer) in [
            ("expired", "RS256", &expired, Signer::Own),
            ("for another audience", "RS256", &foreign, Signer::Own),
            ("of another issuer", "RS256", &other_issuer, Signer::Own),
            ("not signed", "none", &right, Signer::Own),
            ("signed with what is public", "HS256", &right, Signer::Own),
            ("forged", "RS256", &right, Signer::Forger),
        ] {
            let token = self.issuer.minted(algorithm, claims, signer)?;
            self.expect(&token, "GET", "/api/v1/cluster", None, 401)
                .with_context(|| format!("a token that is {what}"))?;
        }
        let real = self.issuer.token("reader", "other", "RS256")?;
        self.expect(&real, "GET", "/api/v1/cluster", None, 401)?;
        let right = self.issuer.token("reader", AUDIENCE, "RS256")?;
        for token in [right.replacen('.', "..", 1), format!("{right}x"), right.to_uppercase(), "a.b.c".into()] {
            self.expect(&token, "GET", "/api/v1/cluster", None, 401)?;
        }
        self.expect(&right, "GET", "/api/v1/cluster", None, 200).map(drop)
    }

    fn rotation(&mut self) -> Result<()> {
        let former = self.issuer.token("reader", AUDIENCE, "RS256")?;
        self.issuer.rotate()?;
        let token = self.issuer.token("reader", AUDIENCE, "RS256")?;
        self.patiently("the new key is asked for", &token, 200)?;
        self.expect(&former, "GET", "/api/v1/cluster", None, 401).map(drop)
    }

    fn down(&mut self) -> Result<()> {
        let token = self.issuer.token("reader", AUDIENCE, "ES256")?;
        let unheard = self.issuer.minted("RS256", &self.claims(300, AUDIENCE)?, Signer::Unheard)?;
        self.issuer.stop()?;
        for _ in 0..20 {
            self.expect(&token, "GET", "/api/v1/cluster", None, 200)?;
        }
        self.patiently("the issuer is found to be away", &unheard, 503)?;
        self.expect(&token, "GET", "/api/v1/cluster", None, 200).map(drop)
    }

    /// Tries until the answer has a status. The issuer is not asked at once again, and who fails too often is not heard.
    fn patiently(&mut self, what: &str, token: &str, status: u16) -> Result<()> {
        until(what, Duration::from_secs(40), || {
            let outcome = self.expect(token, "GET", "/api/v1/cluster", None, status).map(drop);
            if outcome.is_err() {
                sleep(Duration::from_secs(1));
            }
            outcome
        })
    }

    fn log(&mut self) -> Result<()> {
        let said = self.pair.server.said();
        let leaked = self.shown.iter().filter(|token| token.len() > 20).find(|token| {
            let signature = token.rsplit('.').next().filter(|part| part.len() > 20);
            said.contains(token.as_str()) || signature.is_some_and(|part| said.contains(part))
        });
        ensure!(leaked.is_none(), "a token is in the log");
        Ok(())
    }
}
