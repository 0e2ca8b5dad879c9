using System.Numerics;

namespace Abuse.Core.Tests;

/// <content>The kernel's rules, written anew from its behaviour, and what an error is due for.</content>
internal sealed partial class UblkPlanPropertyTests
{
    /// <summary>The rule that a plan breaks; null for none.</summary>
    private static string? Broken(UblkPlan plan, Case c)
    {
        UblkDevInfo info = plan.ToDevInfo();
        UblkParams parameters = plan.ToParams();
        return BrokenByAdd(info, c) ?? BrokenBySet(info, parameters, c.PageSize) ?? BrokenByPromise(plan, parameters, c);
    }

    /// <summary>What ADD_DEV answers with EINVAL, or changes in silence.</summary>
    private static string? BrokenByAdd(in UblkDevInfo info, Case c)
    {
        UblkFeatures flags = info.Flags;
        (string Rule, bool Holds)[] rules =
        [
            ("1 to 4096 requests", info.QueueDepth is >= 1 and <= 4096),
            ("1 to 4096 queues", info.Queues is >= 1 and <= 4096),
            ("no more queues than processors", info.Queues <= c.Processors),
            ("a legal set of recovery", (flags & RecoveryFeatures) is 0 or UblkFeatures.UserRecovery
                or (UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue) or (UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo)),
            ("quiesce needs recovery", !flags.HasFlag(UblkFeatures.Quiesce) || flags.HasFlag(UblkFeatures.UserRecovery)),
            ("integrity needs user copy", !flags.HasFlag(UblkFeatures.Integrity) || flags.HasFlag(UblkFeatures.UserCopy)),
            ("the size of descriptors is the kernel's", !flags.HasFlag(UblkFeatures.IoDescSize)),
            ("an id below 2^20 or any", info.Id is < 1 << 20 or uint.MaxValue),
            ("whole pages, not 0", info.MaxRequestSize != 0 && info.MaxRequestSize % c.PageSize == 0),
            ("at most 32 MiB", info.MaxRequestSize <= 32 << 20),
            ("only what the kernel has", (flags & ~(c.Kernel | Always)) == 0),
            ("ioctl encoding", flags.HasFlag(UblkFeatures.CmdIoctlEncode)),
            ("never what is not served", (flags & (UblkFeatures.UnprivilegedDev | UblkFeatures.NeedGetData | UblkFeatures.Zoned | UblkFeatures.Integrity | UblkFeatures.BatchIo)) == 0),
            ("a buffer registers only with zero copy", flags.HasFlag(UblkFeatures.AutoBufReg) == flags.HasFlag(UblkFeatures.SupportZeroCopy)),
        ];
        return FirstBroken(rules);
    }

    /// <summary>What SET_PARAMS answers with EINVAL, of the strictest kernel.</summary>
    private static string? BrokenBySet(in UblkDevInfo info, in UblkParams p, int pageSize)
    {
        bool discards = (p.Types & 2) != 0;
        bool aligns = (p.Types & 16) != 0;
        (string Rule, bool Holds)[] rules =
        [
            ("all 152 bytes", p.Length == 152),
            ("basic, and nothing that may not be set", (p.Types & 1) != 0 && (p.Types & ~0x13u) == 0),
            ("logical block of 512 bytes to a page", p.LogicalShift >= 9 && 1 << p.LogicalShift <= pageSize),
            ("physical block", p.PhysicalShift >= p.LogicalShift && p.PhysicalShift <= 28),
            ("hints", p.MinimumShift <= 28 && p.OptimalShift <= 28 && p.MinimumShift >= p.LogicalShift),
            ("a page at least", p.MaxSectors >= pageSize / 512),
            ("what the buffer holds at most", p.MaxSectors <= info.MaxRequestSize / 512),
            ("whole blocks", p.MaxSectors % ((1u << p.LogicalShift) / 512) == 0 && p.Sectors % ((1ul << p.LogicalShift) / 512) == 0),
            ("one segment of discard", !discards || p.MaxDiscardSegments == 1),
            ("granularity of discard", !discards || (p.DiscardGranularity != 0 && p.DiscardGranularity % (1u << p.LogicalShift) == 0)),
            ("lengths fit a result", !discards || Math.Max(p.MaxDiscardSectors, p.MaxWriteZeroesSectors) <= int.MaxValue / 512),
            ("lengths are whole blocks", !discards || (p.MaxDiscardSectors | p.MaxWriteZeroesSectors) % ((1u << p.LogicalShift) / 512) == 0),
            ("a mask below a page", !aligns || (p.DmaAlignment < pageSize && BitOperations.IsPow2(p.DmaAlignment + 1))),
            ("known attributes, FUA only with a cache", p.Attributes <= 15 && ((p.Attributes & 8) == 0 || (p.Attributes & 4) != 0)),
        ];
        return FirstBroken(rules);
    }

    /// <summary>What the kernel tells its users is what the target does, and the mode is the one of its flags.</summary>
    private static string? BrokenByPromise(UblkPlan plan, in UblkParams p, Case c)
    {
        BlockGeometry disk = c.Geometry;
        UblkFeatures zeroCopy = UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg | UblkFeatures.UserCopy;
        (string Rule, bool Holds)[] rules =
        [
            ("size", p.Sectors * 512 == (ulong)disk.Size),
            ("block", 1 << p.LogicalShift == disk.BlockSize),
            ("flushes", ((p.Attributes & 4) != 0) == disk.Features.HasFlag(BlockFeatures.Flush)),
            ("FUA", ((p.Attributes & 8) != 0) == ((disk.Features & (BlockFeatures.Flush | BlockFeatures.Fua)) == (BlockFeatures.Flush | BlockFeatures.Fua))),
            ("read-only", ((p.Attributes & 1) != 0) == disk.IsReadOnly),
            ("rotational", ((p.Attributes & 2) != 0) == disk.IsRotational),
            ("discard", (p.MaxDiscardSectors != 0) == disk.Features.HasFlag(BlockFeatures.Discard)),
            ("zeroes", (p.MaxWriteZeroesSectors != 0) == disk.Features.HasFlag(BlockFeatures.WriteZeroes)),
            ("mode", (plan.Flags & zeroCopy) == plan.Buffers switch { UblkBuffers.ZeroCopy => zeroCopy, UblkBuffers.UserCopy => UblkFeatures.UserCopy, _ => 0 }),
            ("zero copy only with a target for it", plan.Buffers != UblkBuffers.ZeroCopy || c.Host.TargetTakesZeroCopy),
            ("partitions", plan.ScanPartitions == !plan.Flags.HasFlag(UblkFeatures.NoAutoPartScan)),
            ("resize", plan.CanResize == c.Kernel.HasFlag(UblkFeatures.UpdateSize)),
            ("detach", plan.CanDetach == (plan.Recovery != UblkRecovery.None && c.Kernel.HasFlag(UblkFeatures.Quiesce))),
            ("recovery", plan.Recovery != UblkRecovery.None == plan.Flags.HasFlag(UblkFeatures.UserRecovery)),
            ("recoverable data has a name or permission", plan.Recovery == UblkRecovery.None || plan.IdentityHash != 0 || c.Options.AllowVolatileRecovery),
        ];
        return FirstBroken(rules);
    }

    private static string? FirstBroken((string Rule, bool Holds)[] rules) => rules.FirstOrDefault(static rule => !rule.Holds).Rule;

    /// <summary>Whether the case is one that must not get a plan.</summary>
    private static bool ErrorIsDue(Case c)
    {
        UblkOptions o = c.Options;
        bool outOfRange = o.Id is < 0 or > 1048575
            || o.Queues is < 1 or > 4096
            || o.QueueDepth is < 1 or > 4096
            || o.MaxRequestSize < c.PageSize || o.MaxRequestSize > 32 << 20 || o.MaxRequestSize % c.PageSize != 0
            || (int)o.Buffers > 2 || (int)o.Recovery > 3
            || o.Identity == ""
            || o.ControlTimeout.TotalSeconds is <= 0 or > 86400
            || o.DrainTimeout.TotalSeconds is < 0 or > 86400
            || (o.PhysicalBlockSize is { } physical && (physical < c.BlockSize || physical > 1 << 20 || (physical & (physical - 1)) != 0));
        bool bad = c.Release is "6.18.0" or "6.18.5" or "6.18-rc2";
        UblkFeatures needs = UblkFeatures.CmdIoctlEncode | (o.Recovery switch
        {
            UblkRecovery.Queue => UblkFeatures.UserRecovery,
            UblkRecovery.Reissue => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue,
            UblkRecovery.Fail => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo,
            _ => 0,
        });
        bool forgets = o.Recovery != UblkRecovery.None && o.Identity is null && c.Host.TargetIdentity is null && !o.AllowVolatileRecovery;
        return outOfRange || bad || forgets || !c.Kernel.HasFlag(needs);
    }

    /// <summary>A word for each thing that a plan leaves out.</summary>
    private static IEnumerable<string> Drops(UblkPlan plan, Case c)
    {
        if (plan.Queues != c.Options.Queues)
        {
            yield return "Queues";
        }

        if (c.Options.Buffers == UblkBuffers.ZeroCopy && plan.Buffers != UblkBuffers.ZeroCopy)
        {
            yield return "Zero copy became user copy";
        }

        if (c.Options.Buffers != UblkBuffers.Copy && plan.Buffers == UblkBuffers.Copy)
        {
            yield return "User copy became copy";
        }

        if (plan.ScanPartitions != c.Options.ScanPartitions)
        {
            yield return "ScanPartitions";
        }

        if (!plan.CanResize)
        {
            yield return "UpdateSize";
        }

        if (c.Options.Recovery != UblkRecovery.None && !plan.CanDetach)
        {
            yield return "Quiesce";
        }

        if (c.Geometry.Features.HasFlag(BlockFeatures.Fua) && (plan.ToParams().Attributes & 8) == 0)
        {
            yield return "FUA";
        }

        if (c.Release == "odd")
        {
            yield return "release";
        }
    }

    private const UblkFeatures Always = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask | UblkFeatures.PerIoDaemon
        | UblkFeatures.BufRegOffDaemon | UblkFeatures.SafeStopDev;

    /// <summary>What a kernel copies back of a device that it takes.</summary>
    private static UblkDevInfo AddDev(UblkDevInfo info, Case c)
    {
        info.Id = info.Id == uint.MaxValue ? 17 : info.Id;
        info.Flags = (info.Flags & c.Kernel) | Always;
        info.Queues = (ushort)Math.Min(info.Queues, c.Processors);
        info.MaxRequestSize -= info.MaxRequestSize % (uint)c.PageSize;
        info.DescriptorSize = c.Kernel.HasFlag(UblkFeatures.IoDescSize) ? (ushort)24 : info.DescriptorSize;
        info.Pid = -1;
        return info;
    }
}
