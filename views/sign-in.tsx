import { Layout } from "./layout.tsx";

interface SignInPageProps {
  /** Where to go afterwards: a path of our own. */
  next: string;
  error?: string;
  asset: (path: string) => string;
}

/** The password form; it needs no script. */
export function SignInPage({ next, error, asset }: SignInPageProps) {
  return (
    <Layout shell={{ asset }} title="Sign in" bare>
      <main id="main" class="page page-narrow">
        <form class="card message-card" method="post" action="/sign-in">
          <h1>Sign in</h1>
          <p class="soft">This Parley is protected by a password.</p>
          {error === undefined ? null : (
            <p class="notice notice-error" role="alert" id="sign-in-error">
              {error}
            </p>
          )}
          <input type="hidden" name="next" value={next} />
          {/* Password managers file a password under a name. */}
          <input
            type="text"
            name="username"
            value="parley"
            autocomplete="username"
            readonly
            hidden
          />
          <div class="field">
            <label for="password">Password</label>
            <input
              id="password"
              name="password"
              type="password"
              required
              autofocus
              autocomplete="current-password"
              {...(error === undefined
                ? {}
                : { "aria-invalid": "true" as const, "aria-describedby": "sign-in-error" })}
            />
          </div>
          <button class="button button-primary button-wide" type="submit">
            Sign in
          </button>
        </form>
      </main>
    </Layout>
  );
}
