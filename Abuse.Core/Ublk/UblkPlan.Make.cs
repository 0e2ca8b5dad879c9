using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Abuse.Core;

/// <content>From what is asked for to what can be had.</content>
public sealed partial record UblkPlan
{
    private static readonly Version FirstBad = new(6, 18, 0);
    private static readonly Version LastBad = new(6, 18, 5);

    /// <summary>Plans a new disk. Does nothing else: what the kernel would answer with EINVAL is an error here, by name.</summary>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    /// <exception cref="UblkException">The kernel can't do what must not be dropped, or is one that would fall over.</exception>
    internal static UblkPlan Make(BlockGeometry geometry, UblkOptions options, UblkFeatures features, UblkHost host)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(host);
        host.Validate();
        options.Validate(geometry, host.PageSize);
        var notes = new List<string>();
        ThrowIfKnownBad(host, notes);
        if (!features.HasFlag(UblkFeatures.CmdIoctlEncode))
        {
            throw TooOld($"The ublk driver of kernel {host.KernelRelease} does not take commands as this library gives them", "6.5");
        }

        ulong identity = HashOf(options.Identity ?? host.TargetIdentity);
        ThrowUnlessRecoverable(options, features, identity, host);
        UblkBuffers buffers = ChooseBuffers(options.Buffers, features, host, notes);
        bool scans = options.ScanPartitions || Lacks(features, UblkFeatures.NoAutoPartScan, notes,
            "Partitions are looked for although ScanPartitions is false: the kernel can't leave it (Linux 7.0 can).");
        NoteFua(geometry, notes);
        return new UblkPlan
        {
            Id = options.Id,
            Queues = ChooseQueues(options.Queues, host, notes),
            QueueDepth = options.QueueDepth,
            MaxRequestSize = options.MaxRequestSize,
            Buffers = buffers,
            Recovery = options.Recovery,
            ScanPartitions = scans,
            PhysicalBlockSize = options.PhysicalBlockSize ?? geometry.BlockSize,
            Geometry = geometry,
            Flags = UblkFeatures.CmdIoctlEncode | FlagsOf(buffers) | FlagsOf(options.Recovery)
                | (scans ? 0 : UblkFeatures.NoAutoPartScan) | Extras(options, features, notes),
            IdentityHash = identity,
            PageSize = host.PageSize,
            Notes = [.. notes],
        };
    }

    /// <summary>64 bits of a name's SHA-256, never 0; 0 where there is no name.</summary>
    internal static ulong HashOf(string? identity)
    {
        if (identity is null)
        {
            return 0;
        }

        ulong hash = BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(identity)));
        return hash == 0 ? 1 : hash;
    }

    internal static UblkFeatures FlagsOf(UblkBuffers buffers) => buffers switch
    {
        UblkBuffers.ZeroCopy => ZeroCopyFlags,
        UblkBuffers.UserCopy => UblkFeatures.UserCopy,
        _ => UblkFeatures.None,
    };

    internal static UblkFeatures FlagsOf(UblkRecovery recovery) => recovery switch
    {
        UblkRecovery.Queue => UblkFeatures.UserRecovery,
        UblkRecovery.Reissue => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue,
        UblkRecovery.Fail => UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo,
        _ => UblkFeatures.None,
    };

    private static void ThrowIfKnownBad(UblkHost host, List<string> notes)
    {
        Version? version = host.KernelVersion;
        if (version is null)
        {
            notes.Add($"The kernel's release \"{host.KernelRelease}\" has no number, so it was not compared with those that are known to be bad.");
        }
        else if (version >= FirstBad && version <= LastBad)
        {
            throw new UblkException(UblkFailure.KnownBad,
                $"Kernel {host.KernelRelease} crashes when a ublk disk is made, as all from {FirstBad} to {LastBad} do: boot 6.18.6 or later, or one before 6.18.");
        }
    }

    private static void ThrowUnlessRecoverable(UblkOptions options, UblkFeatures features, ulong identity, UblkHost host)
    {
        if (options.Recovery == UblkRecovery.None)
        {
            return;
        }

        if ((FlagsOf(options.Recovery) & ~features) != 0)
        {
            throw TooOld($"The ublk driver of kernel {host.KernelRelease} has no recovery of the kind {options.Recovery}",
                options.Recovery == UblkRecovery.Fail ? "6.13" : "6.1");
        }

        if (identity == 0 && !options.AllowVolatileRecovery)
        {
            throw new UblkException(UblkFailure.NotRecoverable,
                $"Recovery {options.Recovery} was asked for, but the target's data dies with this process, and the next server would serve another disk "
                + "to those who have this one open: serve a target that is stored, name its data with Identity, or set AllowVolatileRecovery.");
        }
    }

    private static UblkBuffers ChooseBuffers(UblkBuffers asked, UblkFeatures features, UblkHost host, List<string> notes)
    {
        UblkBuffers buffers = asked;
        if (buffers == UblkBuffers.ZeroCopy)
        {
            UblkFeatures missing = ZeroCopyFlags & ~features;
            string? why = missing != 0 ? $"the kernel lacks {missing} (Linux 6.16 has all that it needs)"
                : host.TargetTakesZeroCopy ? null
                : "the target can't do its I/O on the kernel's memory";
            if (why is not null)
            {
                notes.Add($"Zero copy became user copy: {why}.");
                buffers = UblkBuffers.UserCopy;
            }
        }

        if (buffers == UblkBuffers.UserCopy && !features.HasFlag(UblkFeatures.UserCopy))
        {
            notes.Add("User copy became copy: the kernel lacks UserCopy (Linux 6.5 has it).");
            buffers = UblkBuffers.Copy;
        }

        return buffers;
    }

    private static int ChooseQueues(int asked, UblkHost host, List<string> notes)
    {
        if (asked > host.Processors)
        {
            notes.Add($"Queues are {host.Processors} instead of {asked}: the kernel makes no more than it counts processors.");
        }

        return Math.Min(asked, host.Processors);
    }

    private static UblkFeatures Extras(UblkOptions options, UblkFeatures features, List<string> notes)
    {
        UblkFeatures extras = Lacks(features, UblkFeatures.UpdateSize, notes,
            "The disk keeps its size while it is served: the kernel lacks UpdateSize (Linux 6.16 has it).")
            ? 0 : UblkFeatures.UpdateSize;
        if (options.Recovery != UblkRecovery.None && !Lacks(features, UblkFeatures.Quiesce, notes,
            "The disk can't be left in good order, only by the end of its server: the kernel lacks Quiesce (Linux 6.16 has it)."))
        {
            extras |= UblkFeatures.Quiesce;
        }

        return extras;
    }

    private static void NoteFua(BlockGeometry geometry, List<string> notes)
    {
        if ((geometry.Features & (BlockFeatures.Fua | BlockFeatures.Flush)) == BlockFeatures.Fua)
        {
            notes.Add("The kernel is not told that the target takes FUA: it asks for it only where there are flushes too, and takes every write for durable.");
        }
    }

    private static bool Lacks(UblkFeatures features, UblkFeatures feature, List<string> notes, string note)
    {
        if (features.HasFlag(feature))
        {
            return false;
        }

        notes.Add(note);
        return true;
    }

    private static UblkException TooOld(string what, string since) =>
        new(UblkFailure.TooOld, $"{what}: Linux {since} or later is needed.");
}
