import { describe, expect, it } from "vitest"
import { Me } from "../../src/contracts/me.ts"
import { newCaller, newTask } from "../support/caller.ts"
import { joined } from "../support/people.ts"

describe("POST /auth/switch", () => {
  it("gives tokens for another workspace, where the same person has another role", async () => {
    const ada = await newCaller()
    const eve = await joined(ada, "member")
    const me = Me.parse(await (await eve.get("/api/v1/me")).json())
    expect(me.workspace).toEqual({ id: ada.workspaceId, role: "member" })
    const task = await newTask(ada)
    expect((await eve.get(`/api/v1/tasks/${task.id}`)).status).toBe(200)
  })
})
