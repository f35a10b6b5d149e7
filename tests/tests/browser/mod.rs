//! Chromium without a window, where the machine has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What Debian, others and macOS call it.
const NAMES: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];

/// A page in a frame of some width: how wide it is with all that is in it, its background, and how many numbers it has.
const FRAME: &str = r#"<!DOCTYPE html><meta charset="utf-8"><title>frame</title>
<style>body { margin: 0 } iframe { border: 0; width: WIDTHpx; height: 2000px }</style>
<iframe src="PAGE"></iframe><pre></pre>
<script>
addEventListener('load', () => {
  const page = document.querySelector('iframe').contentDocument, root = page.documentElement;
  const broken = [...page.querySelectorAll('svg text')].filter(text => text.getComputedTextLength() === 0).length;
  document.querySelector('pre').textContent = JSON.stringify({
    wide: root.scrollWidth, frame: root.clientWidth, background: page.defaultView.getComputedStyle(page.body).backgroundColor,
    numbers: page.querySelectorAll('data').length, text: page.body.innerText.length, broken,
  });
});
</script>"#;

/// The browser.
pub struct Browser {
    name: &'static str,
    /// Its profile, and what it is given.
    folder: tempfile::TempDir,
}

impl Browser {
    /// The first that is installed.
    pub fn find() -> Option<Self> {
        let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success());
        let name = NAMES.into_iter().find(runs)?;
        Some(Self { name, folder: tempfile::tempdir().unwrap() })
    }

    fn run(&self, dark: bool, args: &[&str]) -> Output {
        let profile = format!("--user-data-dir={}", self.folder.path().join("profile").display());
        // 0 is dark and 1 is light.
        let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
        let fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let quiet = ["--enable-logging=stderr", "--allow-file-access-from-files", "--no-first-run", &profile, &scheme];
        let output = Command::new(self.name).args(fixed).args(quiet).args(args).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(output.status.success() && said.is_empty(), "{:?}: {said:?}", output.status);
        output
    }

    /// What the browser makes of `page` in a frame of so many pixels.
    pub fn measure(&self, page: &Path, width: u32, dark: bool) -> serde_json::Value {
        let frame = self.folder.path().join("frame.html");
        let html = FRAME.replace("WIDTH", &width.to_string()).replace("PAGE", &url(page));
        fs::write(&frame, html).unwrap();
        let output = self.run(dark, &["--virtual-time-budget=5000", "--dump-dom", &url(&frame)]);
        let dom = String::from_utf8(output.stdout).unwrap();
        let json = dom.split_once("<pre>").unwrap().1.split_once("</pre>").unwrap().0;
        serde_json::from_str(json).unwrap_or_else(|_| panic!("{dom}"))
    }

    /// A picture of `page`, as high as that.
    pub fn picture(&self, page: &Path, (width, height): (u32, u32), dark: bool) -> PathBuf {
        let frame = self.folder.path().join("frame.html");
        let html = FRAME.replace("WIDTH", &width.to_string()).replace("2000px", &format!("{height}px"));
        fs::write(&frame, html.replace("PAGE", &url(page))).unwrap();
        let name = format!("{width}-{}.png", if dark { "dark" } else { "light" });
        let picture = self.folder.path().join(name);
        let to = format!("--screenshot={}", picture.display());
        self.run(dark, &[&to, &format!("--window-size={width},{height}"), &url(&frame)]);
        picture
    }
}

fn url(path: &Path) -> String {
    format!("file://{}", path.to_str().unwrap().replace('%', "%25").replace('#', "%23").replace('?', "%3F"))
}
