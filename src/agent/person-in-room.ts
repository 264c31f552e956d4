import { type Participant, ParticipantKind, type Room, RoomEvent } from "@livekit/rtc-node";

/** The kinds of participants that are people: with a client of LiveKit, or on a telephone. */
export const PERSON_KINDS = [ParticipantKind.STANDARD, ParticipantKind.SIP];

/** Whom the agent talks with. `name` is the display name, perhaps empty. */
export interface Person {
  identity: string;
  name: string;
}

/**
 * Watches who the person is: the participant of the given identity or, without one, the first who
 * joins. From then on it is theirs, so that they may leave and return. Recorders, streams and agents
 * are never the person.
 */
export class PersonInRoom {
  readonly #room: Room;
  readonly #onChange: (person: Person | undefined) => void;
  /** The identity that the person must have; undefined while it may be anybody. */
  #expected: string | undefined;
  #present: string | undefined;
  #isReconnecting = false;

  /** @param onChange called when the person joins, and with undefined when they leave */
  constructor(
    room: Room,
    identity: string | undefined,
    onChange: (person: Person | undefined) => void,
  ) {
    this.#room = room;
    this.#expected = identity;
    this.#onChange = onChange;
    room.on(RoomEvent.ParticipantConnected, (joined) => this.#joined(joined));
    room.on(RoomEvent.ParticipantDisconnected, ({ identity: left }) => {
      // Who has left during a reconnection is known when it is over.
      if (left === this.#present && !this.#isReconnecting) this.#left();
    });
    room.on(RoomEvent.Reconnecting, () => {
      this.#isReconnecting = true;
    });
    room.on(RoomEvent.Reconnected, () => {
      this.#isReconnecting = false;
      if (this.#present !== undefined && !room.remoteParticipants.has(this.#present)) this.#left();
      this.find();
    });
  }

  /** The identity of the person, also while they are away; undefined before anybody joined. */
  get identity(): string | undefined {
    return this.#expected;
  }

  get isPresent(): boolean {
    return this.#present !== undefined;
  }

  /** Looks among those who are in the room already. */
  find(): void {
    for (const participant of this.#room.remoteParticipants.values()) this.#joined(participant);
  }

  #joined({ identity, name = "", info }: Participant): void {
    if (
      this.#present !== undefined ||
      !PERSON_KINDS.includes(info.kind ?? ParticipantKind.STANDARD)
    )
      return;
    if (this.#expected !== undefined && identity !== this.#expected) return;
    this.#present = identity;
    this.#expected = identity;
    this.#onChange({ identity, name });
  }

  #left(): void {
    this.#present = undefined;
    this.#onChange(undefined);
  }
}
