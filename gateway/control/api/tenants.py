"""Tenants, who owns them, and who holds which role in them."""

from collections.abc import Sequence

from gateway.control.api import answers, asks
from gateway.control.api.operation import Asked, Operation, mark, marked
from gateway.control.api.parts import Parts
from gateway.login import shown

TENANT = "/tenants/{tenantId}"
OWNER = TENANT + "/owners/{accountId}"
HELD = TENANT + "/members/{accountId}/roles/{role}"


class Tenants:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._administration = parts.administration
        self._governance = parts.administration.governance

    def operations(self) -> Sequence[Operation]:
        return (
            Operation(
                "createTenant", "POST", "/tenants", "tenants", "Create a tenant with an account of its own",
                self.create, answers.Tenant, asks.NewTenant, status=201,
            ),
            Operation(
                "listTenants", "GET", "/tenants", "tenants", "List tenants, oldest first",
                self.list, answers.Tenants, query=asks.TenantQuery,
            ),
            Operation("showTenant", "GET", TENANT, "tenants", "Show a tenant", self.show, answers.TenantDetails),
            Operation(
                "renameTenant", "PATCH", TENANT, "tenants", "Rename a tenant",
                self.rename, answers.Tenant, asks.TenantName,
            ),
            Operation(
                "deleteTenant", "DELETE", TENANT, "tenants", "Delete a tenant in which nobody holds anything",
                self.delete,
            ),
            Operation("addOwner", "PUT", OWNER, "tenants", "Make an account an owner of a tenant", self.own),
            Operation("removeOwner", "DELETE", OWNER, "tenants", "Let an account own a tenant no more", self.disown),
            Operation(
                "listMembers", "GET", TENANT + "/members", "memberships",
                "List who owns a tenant or holds a role in it",
                self.members, answers.Members, query=asks.PageQuery,
            ),
            Operation(
                "assignRole", "PUT", HELD, "memberships", "Let an account hold a role in a tenant",
                self.assign, answers.Assignment, asks.NewRole,
            ),
            Operation(
                "removeRole", "DELETE", HELD, "memberships", "Take a role away, within a second",
                self.remove, query=asks.RoleQuery,
            ),
            Operation(
                "listRoles", "GET", "/roles", "memberships", "List the roles that were ever assigned",
                self.roles, answers.Roles, query=asks.PageQuery,
            ),
            Operation(
                "listAccountRoles", "GET", "/accounts/{accountId}/roles", "memberships",
                "List the roles that an account holds", self.held, answers.Assignments,
            ),
        )  # fmt: skip

    async def create(self, asked: Asked) -> object:
        said = asked.said(asks.NewTenant)
        return shown.tenant(await self._administration.accounts.create_tenant(said.name, said.owner_id))

    async def list(self, asked: Asked) -> object:
        said = asked.sought(asks.TenantQuery)
        page = await self._parts.listings.tenants(said.limit, mark(said.after, float, str), said.q or "")
        return marked(page, shown.tenant)

    async def show(self, asked: Asked) -> object:
        tenant_id = asked.params["tenantId"]
        found = await self._administration.accounts.tenant(tenant_id)
        owners = await self._parts.listings.owners(tenant_id)
        return {**shown.tenant(found), "owners": [shown.member(owner) for owner in owners]}

    async def rename(self, asked: Asked) -> object:
        name = asked.said(asks.TenantName).name
        return shown.tenant(await self._administration.rename_tenant(asked.params["tenantId"], name))

    async def delete(self, asked: Asked) -> object:
        await self._governance.delete_tenant(asked.params["tenantId"])
        return None

    async def own(self, asked: Asked) -> object:
        params, guard = asked.params, asked.authority.owning
        await self._governance.add_owner(params["tenantId"], params["accountId"], guard)
        return None

    async def disown(self, asked: Asked) -> object:
        params, guard = asked.params, asked.authority.owning
        await self._governance.remove_owner(params["tenantId"], params["accountId"], guard)
        return None

    async def members(self, asked: Asked) -> object:
        said = asked.sought(asks.PageQuery)
        page = await self._parts.listings.members(asked.params["tenantId"], said.limit, mark(said.after, int))
        return marked(page, shown.member)

    async def assign(self, asked: Asked) -> object:
        params, permission = asked.params, asked.said(asks.NewRole).permission
        held = await self._administration.assign_role(
            params["accountId"],
            params["tenantId"],
            params["role"],
            permission,
            asked.authority.giving(params["role"], permission),
            known_role=not asked.authority.is_platform,  # roles are the whole gateway's: routes name them
        )
        return shown.assignment(held)

    async def remove(self, asked: Asked) -> object:
        params, guard = asked.params, asked.authority.taking(asked.params["role"])
        await self._administration.accounts.remove_role(
            params["accountId"], params["tenantId"], params["role"], asked.sought(asks.RoleQuery).permission, guard
        )
        return None

    async def roles(self, asked: Asked) -> object:
        said = asked.sought(asks.PageQuery)
        page = await self._parts.listings.roles(said.limit, mark(said.after, str))
        return marked(page, lambda role: {"id": role[0], "slug": role[1]})

    async def held(self, asked: Asked) -> object:
        held = await self._administration.accounts.assignments(asked.params["accountId"])
        return {"items": [shown.assignment(one) for one in held]}
