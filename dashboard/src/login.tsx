// The door: sign in, or the first start.

import { useEffect, useState } from "preact/hooks";
import { ApiError, get, post } from "./api/client";
import type { Login as LoginAnswer } from "./api/types";
import { Mark } from "./mark";
import { farewell, type Session, signedIn } from "./state/session";
import { Button } from "./ui/button";
import { Input } from "./ui/form";
import { Icon } from "./ui/icon";
import { Text } from "./ui/text";

export function Login() {
  const [needed, setNeeded] = useState<boolean>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    get<{ needed: boolean }>("setup", undefined, { quiet: true }).then(
      (answer) => setNeeded(answer.needed),
      (caught: Error) => {
        // A server that has no such question has its administrators.
        if (caught instanceof ApiError && caught.status === 404) setNeeded(false);
        else setError(caught.message);
      },
    );
  }, []);
  return (
    <div class="door">
      <div class="door-card">
        <div class="door-brand">
          <Mark size={44} />
          <div>
            <h1>Nightjar</h1>
            <p>MQTT server</p>
          </div>
        </div>
        {farewell.value && <p class="note">{farewell.value}</p>}
        {error && (
          <p class="form-error" role="alert">
            <Text v={error} />
          </p>
        )}
        {needed === true && <FirstStart />}
        {needed === false && <SignIn />}
      </div>
      {location.protocol === "http:" && !/^(localhost|127\.|\[::1\])/.test(location.hostname) && (
        <p class="door-hint">
          <Icon name="warning" size={14} /> This connection is not encrypted: others on the way can read your password.
        </p>
      )}
    </div>
  );
}

function useSubmit(act: () => Promise<Session>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      signedIn(await act());
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
      setBusy(false);
    }
  };
  return { busy, error, setError, submit };
}

function SignIn() {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const { busy, error, submit } = useSubmit(async () => {
    const answer = await post<LoginAnswer>("login", { username, password }, { quiet: true });
    return { ...answer, username };
  });
  return (
    <form onSubmit={submit}>
      <Input label="Name" value={username} onInput={setUsername} required autoFocus autoComplete="username" />
      <Input label="Password" type="password" value={password} onInput={setPassword} required autoComplete="current-password" />
      {error && (
        <p class="form-error" role="alert">
          <Text v={error} />
        </p>
      )}
      <Button submit kind="primary" busy={busy}>
        Sign in
      </Button>
    </form>
  );
}

const SHORTEST = 10;

function FirstStart() {
  const [code, setCode] = useState("");
  const [username, setUsername] = useState("admin");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const { busy, error, submit } = useSubmit(async () => {
    if (password !== again) throw new Error("The two passwords are not the same.");
    const answer = await post<LoginAnswer>("setup", { code: code.trim(), username, password }, { quiet: true });
    return { ...answer, username };
  });
  return (
    <form onSubmit={submit}>
      <ol class="steps">
        <li class={code ? "done" : ""}>Find the one-time code in what the server printed when it started, or in the file setup-code of its data folder.</li>
        <li class={username && password && password === again ? "done" : ""}>Choose a name and a password for the first administrator.</li>
        <li>Look around. Who may connect by MQTT is on the pages of Access.</li>
      </ol>
      <Input label="One-time code" value={code} onInput={setCode} required mono autoFocus hint="It proves that this server is yours." />
      <Input label="Name" value={username} onInput={setUsername} required autoComplete="username" />
      <Input label="Password" type="password" value={password} onInput={setPassword} required autoComplete="new-password" hint={<>At least {SHORTEST} characters.</>} />
      <Input label="Password, again" type="password" value={again} onInput={setAgain} required autoComplete="new-password" />
      {error && (
        <p class="form-error" role="alert">
          <Text v={error} />
        </p>
      )}
      <Button submit kind="primary" busy={busy}>
        Make the administrator
      </Button>
    </form>
  );
}
