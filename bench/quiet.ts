// To be imported first: rtc-node decides at its import whether it writes debug lines into the tables.
Bun.env["NODE_ENV"] ??= "production";
