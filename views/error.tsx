/** @jsxImportSource hono/jsx */
import { Layout } from "./layout.tsx";

interface ErrorPageProps {
  status: number;
  title: string;
  detail: string;
  errors?: { path: string; message: string }[];
  asset: (path: string) => string;
}

/** What a browser gets instead of a page: what happened, and where to go from there. */
export function ErrorPage({ status, title, detail, errors = [], asset }: ErrorPageProps) {
  return (
    <Layout shell={{ asset }} title={title}>
      <main id="main" class="page page-narrow">
        <section class="card stack">
          <p class="small muted">{status}</p>
          <h1>{title}</h1>
          <p dir="auto" class="wrap">
            {detail}
          </p>
          {errors.length === 0 ? null : (
            <ul class="wrap">
              {errors.map(({ message }) => (
                <li>{message}</li>
              ))}
            </ul>
          )}
          <p class="row">
            <a class="button button-primary" href="/">
              Talk
            </a>
            <a class="button" href="/history">
              History
            </a>
          </p>
        </section>
      </main>
    </Layout>
  );
}
