import { faults as clock } from "./clock.ts";
import { faults as disk } from "./disk-failures.ts";
import type { Fault } from "./fault.ts";
import { faults as killed } from "./killed.ts";
import { faults as killedTab } from "./killed-tab.ts";
import { faults as livekit } from "./livekit.ts";
import { faults as lockedDatabase } from "./locked-database.ts";
import { faults as lossyNetwork } from "./lossy-network.ts";
import { faults as providers } from "./providers.ts";
import { faults as redis } from "./redis.ts";
import { faults as secondStart } from "./second-start.ts";
import { faults as slowReaders } from "./slow-readers.ts";
import { faults as terminated } from "./terminated.ts";

const FAULTS: Record<string, Fault[]> = {
  killed,
  "second-start": secondStart,
  terminated,
  disk,
  "locked-database": lockedDatabase,
  livekit,
  redis,
  providers,
  "lossy-network": lossyNetwork,
  clock,
  "killed-tab": killedTab,
  "slow-readers": slowReaders,
};

/** The faults whose file or description contains one of the names; none: all. */
export function faultsOf(names: readonly string[]): Fault[] {
  return Object.entries(FAULTS).flatMap(([file, faults]) =>
    faults.filter(
      ({ what }) =>
        names.length === 0 || names.some((name) => file.includes(name) || what.includes(name)),
    ),
  );
}

/** The faults that `npm test` tries. */
export function shortFaults(): Fault[] {
  return faultsOf([]).filter(({ short }) => short);
}
