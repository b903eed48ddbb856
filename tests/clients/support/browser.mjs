// A browser, driven through chromedriver by the WebDriver protocol.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Whether a missing browser fails a test. Otherwise the test is skipped. */
const required = process.env.JISHU_BROWSER_TESTS === "required";

/**
 * Starts Chromium, and stops it when the test `t` ends. Skips the test and returns null if there is no chromedriver.
 * @param {import("node:test").TestContext} t
 * @returns {Promise<Browser | null>}
 */
export async function startBrowser(t) {
  const started = { driver: null, profile: null, browser: null };
  t.after(async () => {
    try {
      await started.browser?.close();
    } finally {
      if (started.driver?.exitCode === null && started.driver.signalCode === null) {
        started.driver.kill();
        await once(started.driver, "exit");
      }
      if (started.profile) await rm(started.profile, { recursive: true, force: true, maxRetries: 5 });
    }
  });
  let port;
  try {
    port = await startDriver(started);
  } catch (error) {
    if (error.code !== "ENOENT" || required) throw error;
    t.skip("there is no chromedriver");
    return null;
  }
  started.profile = await mkdtemp(join(tmpdir(), "jishu-browser-"));
  started.browser = await Browser.open(`http://127.0.0.1:${port}`, started.profile);
  return started.browser;
}

/**
 * Starts chromedriver on a free port, and stores its process as `started.driver`. chromedriver takes a free port of one
 * loopback address, and ends if the same port of the other one is taken. So this function starts chromedriver up to five
 * times.
 * @returns {Promise<string>} the port
 */
async function startDriver(started, attempts = 5) {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
  await once(driver, "spawn");
  started.driver = driver;
  return new Promise((resolve, reject) => {
    let printed = "";
    createInterface(driver.stdout).on("line", (line) => {
      printed += `${line}\n`;
      const match = /successfully on port (\d+)/.exec(line);
      if (match) resolve(match[1]);
    });
    driver.once("close", (code, signal) => {
      const isPortTaken = printed.includes("port not available");
      if (isPortTaken && attempts > 1) resolve(startDriver(started, attempts - 1));
      else reject(new Error(`chromedriver ended with ${code ?? signal}: ${printed}`));
    });
  });
}

/** An open window of Chromium. */
export class Browser {
  #session;

  constructor(session) {
    this.#session = session;
  }

  static async open(driver, profile) {
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"];
    const options = { args: [...args, "--disable-background-networking", `--user-data-dir=${profile}`] };
    const { sessionId } = await send("POST", `${driver}/session`, {
      // The default limit of a script is 30 s. axe may take longer if other tests keep the machine busy.
      capabilities: { alwaysMatch: { "goog:chromeOptions": options, timeouts: { script: 120_000 } } },
    });
    return new Browser(`${driver}/session/${sessionId}`);
  }

  goto(url) {
    return send("POST", `${this.#session}/url`, { url });
  }

  /** Sets the size of the screen and the system's theme, `light` or `dark`. */
  async screen(width, height, theme) {
    await this.#devtools("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.#devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
  }

  /** Runs the body of a function in the page, and returns its result, or that of its promise. */
  script(body, ...args) {
    return send("POST", `${this.#session}/execute/sync`, { script: body, args });
  }

  /** Waits until an expression of the page is true. */
  until(condition) {
    return this.script(
      `return new Promise((resolve) => {
        const look = () => (${condition}) ? resolve() : requestAnimationFrame(look);
        look();
      })`,
    );
  }

  close() {
    return send("DELETE", this.#session);
  }

  #devtools(cmd, params) {
    return send("POST", `${this.#session}/goog/cdp/execute`, { cmd, params });
  }
}

/** Sends a command to chromedriver, and returns the value of its response. */
async function send(method, url, body) {
  const response = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  assert.ok(response.ok, `${url}: ${value?.message}`);
  return value;
}
