//! Owns a browser without a window, as a person would have one: it is spoken to in DevTools' words over two pipes, so
//! that no port is open and no program is needed beside Chromium.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A page that does not answer within this has failed the story.
const PATIENCE: Duration = Duration::from_secs(30);

/// One browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// What the page said was wrong: an error of a script, or what the policy refused.
    pub(crate) wrong: Vec<String>,
    /// What the page asked for, by its address.
    pub(crate) asked: Vec<String>,
    /// What the mouse has begun to drag.
    dragged: Option<Value>,
}

/// How large a page is, in CSS pixels.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u32, pub(crate) u32);

pub(crate) const DESK: Size = Size(1440, 900);
pub(crate) const PHONE: Size = Size(390, 844);

fn chromium() -> Option<&'static str> {
    let known = |name: &&str| {
        let path = std::env::var("PATH").unwrap_or_default();
        path.split(':').any(|dir| Path::new(dir).join(name).is_file())
    };
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(known)
}

impl Browser {
    /// A browser that keeps what it keeps in `home`; none where Chromium is not installed, which is said aloud.
    pub(crate) fn open(home: &Path) -> Option<Self> {
        let Some(chromium) = chromium() else {
            println!("skipped: no chromium is installed");
            return None;
        };
        let profile = home.join("browser");
        let flags = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars \
                     --disable-background-networking --disable-component-update --disable-extensions \
                     --remote-debugging-pipe";
        // It reads its third file and writes its fourth: a shell makes those of the first two.
        let line =
            format!("exec {chromium} {flags} --user-data-dir=\"$0\" about:blank 3<&0 4>&1 >/dev/null 2>&1");
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .arg(&profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, from) = channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                if tell
                    .send(serde_json::from_slice(&message).unwrap_or_default())
                    .is_err()
                {
                    break;
                }
            }
        });
        let mut browser = Self {
            to: child.stdin.take().unwrap(),
            child,
            from,
            session: None,
            calls: 0,
            wrong: Vec::new(),
            asked: Vec::new(),
            dragged: None,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": target["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(DESK);
        Some(browser)
    }

    /// Asks the browser; gives what it answers, and keeps what it says meanwhile.
    #[track_caller]
    fn call(&mut self, method: &str, params: Value) -> Value {
        let told = self.told(method, params);
        assert!(told["error"].is_null(), "{method}: {}", told["error"]);
        told["result"].clone()
    }

    /// The same; an error is an answer too.
    #[track_caller]
    fn told(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut asked = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            asked["sessionId"] = json!(session);
        }
        self.to.write_all(asked.to_string().as_bytes()).unwrap();
        self.to.write_all(&[0]).unwrap();
        loop {
            let told = self
                .from
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|e| panic!("the browser does not answer {method}: {e}"));
            if told["id"] == id {
                return told;
            }
            self.heed(&told);
        }
    }

    fn heed(&mut self, told: &Value) {
        match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.wrong.push(told["params"].to_string()),
            Some("Log.entryAdded") => {
                let entry = &told["params"]["entry"];
                // A board that ends, and an answer that says no, are no fault of the page.
                if entry["level"] == "error" && entry["source"] != "network" {
                    self.wrong.push(entry["text"].to_string());
                }
            }
            Some("Input.dragIntercepted") => self.dragged = Some(told["params"]["data"].clone()),
            Some("Network.requestWillBeSent") => {
                let url = told["params"]["request"]["url"].as_str().unwrap_or_default();
                self.asked.push(url.to_owned());
            }
            _ => {}
        }
    }

    pub(crate) fn size(&mut self, Size(width, height): Size) {
        let mobile = width < 600;
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// Shows pages as a person has them who likes it `dark` or `light`.
    pub(crate) fn likes(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// From now on no script of a page runs.
    pub(crate) fn without_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    }

    #[track_caller]
    pub(crate) fn go(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.until(
            "the page is there",
            "document.readyState === 'complete' && document.body !== null",
        );
    }

    /// Waits until a page of the board is there and hears keys.
    #[track_caller]
    pub(crate) fn at(&mut self, path: &str) {
        let there = format!("location.pathname === '{path}' && document.body.dataset.heard === ''");
        self.until(path, &there);
    }

    /// What an expression is, in the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, script: &str) -> Value {
        let params = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let told = self.call("Runtime.evaluate", params);
        assert!(told["exceptionDetails"].is_null(), "{script}: {told:#}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, script: &str) {
        // A page that is just being left answers nothing.
        let wanted = format!("(() => {{ try {{ return Boolean({script}) }} catch {{ return false }} }})()");
        let begun = Instant::now();
        loop {
            let params = json!({"expression": wanted, "returnByValue": true});
            if self.told("Runtime.evaluate", params)["result"]["result"]["value"] == true {
                return;
            }
            if begun.elapsed() > PATIENCE {
                self.shot("waited-in-vain");
                let said = self.eval("document.getElementById('said')?.textContent");
                let text = self.text();
                panic!(
                    "waited in vain: {what}; it said {said}; wrong: {:#?}; the page: {text}",
                    self.wrong
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The text of the page as a person reads it.
    pub(crate) fn text(&mut self) -> String {
        self.eval("document.body.innerText")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Presses a key.
    pub(crate) fn key(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let down = json!({"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code(key)});
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code(key)});
        self.call("Input.dispatchKeyEvent", up);
    }

    /// Presses a key with Ctrl held.
    pub(crate) fn ctrl(&mut self, key: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "modifiers": 2, "windowsVirtualKeyCode": code(key)});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Where the middle of something is, once it is in sight.
    #[track_caller]
    fn middle(&mut self, selector: &str) -> (f64, f64) {
        let at = self.eval(&format!(
            "(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        (at[0].as_f64().unwrap(), at[1].as_f64().unwrap())
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let held = u8::from(kind != "mouseReleased");
        let params =
            json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": held, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", params);
    }

    /// Clicks with the mouse, as a person does: what lies above would be hit instead.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let at = self.middle(selector);
        self.mouse("mousePressed", at);
        self.mouse("mouseReleased", at);
    }

    /// Drags something with the mouse and lets it go elsewhere.
    #[track_caller]
    pub(crate) fn drag(&mut self, selector: &str, onto: &str) {
        self.call("Input.setInterceptDrags", json!({"enabled": true}));
        let (to, from) = (self.middle(onto), self.middle(selector));
        self.mouse("mousePressed", from);
        self.mouse("mouseMoved", (from.0 + 8.0, from.1 + 8.0));
        let begun = Instant::now();
        let data = loop {
            match self.dragged.take() {
                Some(data) => break data,
                None => assert!(begun.elapsed() < PATIENCE, "{selector} cannot be dragged"),
            }
            self.eval("0");
        };
        for kind in ["dragEnter", "dragOver", "drop"] {
            let params = json!({"type": kind, "x": to.0, "y": to.1, "data": data});
            self.call("Input.dispatchDragEvent", params);
        }
        self.mouse("mouseReleased", to);
        self.call("Input.setInterceptDrags", json!({"enabled": false}));
    }

    /// Keeps a whole page as three people see it: at a desk in the light and in the dark, and on a phone, where nothing
    /// may be wider than the screen.
    #[track_caller]
    pub(crate) fn shots(&mut self, name: &str) {
        for (scheme, size, form) in [
            ("light", Size(1200, 800), "light"),
            ("dark", Size(1200, 800), "dark"),
            ("light", PHONE, "phone"),
        ] {
            self.likes(scheme);
            self.size(size);
            let wide = self.eval("document.documentElement.scrollWidth").as_u64();
            assert!(
                wide <= Some(u64::from(size.0)),
                "{name} is {wide:?} px wide, {form}"
            );
            self.shot(&format!("{name}-{form}"));
        }
        self.likes("light");
        self.size(DESK);
    }

    /// Types into what has the focus.
    pub(crate) fn types(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Keeps a picture of the page in `target/board-shots`.
    pub(crate) fn shot(&mut self, name: &str) {
        use base64::Engine;
        let told = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/board-shots");
        std::fs::create_dir_all(&dir).unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(told["data"].as_str().unwrap());
        std::fs::write(dir.join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }
}

fn code(key: &str) -> u32 {
    match key {
        "Enter" => 13,
        "Escape" => 27,
        "ArrowUp" => 38,
        "ArrowDown" => 40,
        key => key.chars().next().map_or(0, |c| c.to_ascii_uppercase().into()),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own children end with their pipes.
        if self.child.kill().is_ok() {
            self.child.wait().unwrap();
        }
    }
}
