/** @jsxImportSource hono/jsx */
import { ErrorNotice } from "./fragments/htmx.tsx";
import { Layout } from "./layout.tsx";

interface SignInPageProps {
  /** The path on this server to go to afterwards. */
  next: string;
  error?: string;
  asset: (path: string) => string;
}

/** The password form, which works without a script. */
export function SignInPage({ next, error, asset }: SignInPageProps) {
  return (
    <Layout shell={{ asset }} title="Sign in" bare>
      <main id="main" class="page page-narrow">
        <form class="card stack" method="post" action="/sign-in">
          <h1>Sign in</h1>
          <p class="muted">Enter the password to use Parley.</p>
          {error === undefined ? null : (
            <ErrorNotice alert id="sign-in-error">
              {error}
            </ErrorNotice>
          )}
          <input type="hidden" name="next" value={next} />
          {/* Password managers store a password under a user name. */}
          <input
            type="text"
            name="username"
            value="parley"
            autocomplete="username"
            readonly
            hidden
          />
          <div class="stack tight">
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
          <button class="button button-primary" type="submit">
            Sign in
          </button>
        </form>
      </main>
    </Layout>
  );
}
