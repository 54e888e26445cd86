import { useEffect, useState } from "preact/hooks";
import { forgetAsked, get, post } from "./api/client";
import { Login } from "./login";
import { Mark } from "./mark";
import { type Page, pages, SECTIONS } from "./pages";
import { match, place, to } from "./router";
import { helpShown } from "./state/keys";
import { follow, live, reached, status } from "./state/live";
import { may, session, signedOut } from "./state/session";
import { dark, turnTheme } from "./state/theme";
import { Button } from "./ui/button";
import { Curl } from "./ui/curl";
import { Dialog, Questions } from "./ui/dialog";
import { Icon } from "./ui/icon";
import { Dot } from "./ui/layout";
import { Empty } from "./ui/states";
import { Text } from "./ui/text";
import { Toasts } from "./ui/toast";
import { number, rate } from "./lib/format";

export function App() {
  return (
    <>
      {session.value ? <Frame /> : <Login />}
      <Questions />
      <Toasts />
    </>
  );
}

interface Found {
  page: Page;
  params: Record<string, string>;
}

function find(path: string): Found | null {
  for (const page of pages) {
    const params = match(page.path, path);
    if (params) return { page, params };
  }
  return null;
}

function Frame() {
  const [open, setOpen] = useState(false);
  const { path } = place.value;
  const found = find(path);
  useEffect(() => follow(), []);
  useEffect(() => {
    // Rights may have changed since the token was made.
    void get<{ role: "viewer" }>("me", undefined, { quiet: true }).then(
      (me) => {
        const now = session.peek();
        if (now && now.role !== me.role) session.value = { ...now, role: me.role };
      },
      () => undefined,
    );
  }, []);
  useEffect(() => {
    setOpen(false);
    document.title = found ? `${found.page.title} · Nightjar` : "Nightjar";
    scrollTo(0, 0);
    return forgetAsked;
  }, [path]);
  return (
    <div class={`frame ${open ? "nav-open" : ""}`}>
      <a class="skip" href={`#${path}`} onClick={(event) => (event.preventDefault(), document.querySelector("main")?.focus())}>
        Skip to the page
      </a>
      <Navigation current={found?.page} />
      <div class="shade" onClick={() => setOpen(false)} />
      <div class="stage">
        <TopBar onMenu={() => setOpen(!open)} />
        {!reached.value && (
          <div class="stale" role="status">
            <Icon name="warning" /> The server does not answer. What you see may be old.
          </div>
        )}
        <main tabIndex={-1}>
          {found ? (
            <found.page.view key={path} params={found.params} />
          ) : (
            <Empty icon="search" title="There is no such page">
              <a href="#/">To the overview</a>
            </Empty>
          )}
        </main>
      </div>
      {helpShown.value && <Help />}
    </div>
  );
}

function Navigation({ current }: { current: Page | undefined }) {
  const alarms = live.value.at(-1)?.overview.alarms ?? 0;
  const here = (page: Page) => current === page || (current?.inner === true && current.path.startsWith(`${page.path}/`));
  return (
    <nav class="side" aria-label="Pages">
      <a class="brand" href="#/">
        <Mark />
        <span>Nightjar</span>
      </a>
      <div class="side-pages">
        {SECTIONS.map((section) => {
          const shown = pages.filter((page) => page.section === section && !page.inner && may(page.role ?? "viewer"));
          if (!shown.length) return null;
          return (
            <div key={section} class="side-section">
              <h2>{section}</h2>
              {shown.map((page) => (
                <a key={page.path} href={to(page.path)} aria-current={here(page) ? "page" : undefined}>
                  <Icon name={page.icon} />
                  {page.title}
                  {page.path === "/alarms" && alarms > 0 && <b class="count">{number(alarms)}</b>}
                </a>
              ))}
            </div>
          );
        })}
      </div>
    </nav>
  );
}

function TopBar({ onMenu }: { onMenu: () => void }) {
  const now = live.value.at(-1)?.overview;
  const connections = now?.connections ?? status.value?.connections;
  const leave = async () => {
    try {
      await post("logout", undefined, { quiet: true });
    } finally {
      signedOut(null);
    }
  };
  return (
    <header class="top">
      <span class="phone-only">
        <Button icon="menu" kind="quiet" title="Pages" onClick={onMenu} />
      </span>
      <div class="pulse" aria-label="Now">
        <Dot tone={reached.value ? "good" : "bad"} label={reached.value ? "Live" : "Away"} />
        {connections !== undefined && (
          <span>
            <b>{number(connections)}</b> connected
          </span>
        )}
        {now && (
          <>
            <span class="wide-only">
              <b>{rate(now.messages_in_per_s)}</b> in/s
            </span>
            <span class="wide-only">
              <b>{rate(now.messages_out_per_s)}</b> out/s
            </span>
          </>
        )}
      </div>
      <span class="grow" />
      <Curl />
      <Button icon={dark.value ? "sun" : "moon"} kind="quiet" title={dark.value ? "Light" : "Dark"} onClick={turnTheme} />
      <details class="menu right">
        <summary class="button quiet user">
          <span class="avatar" aria-hidden="true">
            <Text v={session.value?.username.slice(0, 1).toUpperCase()} />
          </span>
          <span class="wide-only">
            <Text v={session.value?.username} />
          </span>
        </summary>
        <div class="menu-body">
          <p class="hint">
            <Text v={session.value?.username} />, {session.value?.role}
          </p>
          <button type="button" onClick={() => (helpShown.value = true)}>
            <Icon name="info" /> Keyboard
          </button>
          <button type="button" onClick={() => void leave()}>
            <Icon name="out" /> Sign out
          </button>
        </div>
      </details>
    </header>
  );
}

function Help() {
  const keys = pages.filter((page) => page.key && may(page.role ?? "viewer"));
  return (
    <Dialog title="Keyboard" onClose={() => (helpShown.value = false)}>
      <div class="dialog-body keys">
        <p>
          <kbd>/</kbd> search
        </p>
        <p>
          <kbd>↓</kbd> <kbd>↑</kbd> rows of a table, <kbd>Enter</kbd> opens
        </p>
        <p>
          <kbd>Esc</kbd> leaves a box or a menu
        </p>
        <p>
          <kbd>?</kbd> this
        </p>
        {keys.map((page) => (
          <p key={page.path}>
            <kbd>g</kbd> <kbd>{page.key}</kbd> {page.title}
          </p>
        ))}
      </div>
    </Dialog>
  );
}
