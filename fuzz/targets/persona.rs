//! Persona files. Whatever passes the check that is made before money is spent can be rendered for everything that a
//! persona can be asked, and an error names a line of the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turno_engine::config::{Error, Layer, TextFile, read_persona};
use turno_engine::prompt::{Extras, check, render, samples};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = u32::try_from(text.split('\n').count()).expect("a short text");
    let file = TextFile {
        layer: Layer::Repo,
        name: ".turno/personas/fuzz.md".to_owned(),
        text: text.to_owned(),
    };
    let entry = match read_persona(&file) {
        Ok(entry) => entry,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            if let Error::File { place, .. } | Error::UnknownFrontKey { place, .. } = &error {
                assert!(place.line <= lines, "{error} of {lines}");
            }
            return;
        }
    };
    match check(&entry.persona) {
        Ok(()) => {
            let extras = Extras {
                diff_stat: "1 file changed".to_owned(),
                notes: vec!["a note".to_owned()],
                test_paths: vec!["tests/**".to_owned()],
            };
            for (name, brief) in samples() {
                let rendered = render(&entry.persona, &brief, &extras);
                assert!(rendered.is_ok(), "{name}: {rendered:?}");
            }
        }
        Err(error) => {
            assert!(!error.what().is_empty());
            let body = u32::try_from(entry.persona.prompt.split('\n').count()).expect("a short text");
            assert!(error.line() <= body + 1, "{error} of {body}");
        }
    }
});
