namespace Abuse.Core;

/// <content>Operations on files.</content>
public sealed partial class SimulatedDirectory
{
    /// <summary>Opens a file, as <see cref="File.Open(string, FileMode, FileAccess)"/> does.</summary>
    /// <param name="name">A file's name.</param>
    /// <param name="mode">Whether it must be there, must not, or is made; and whether it is emptied.</param>
    /// <param name="access">What the stream may do. Streams of one file do not exclude each other.</param>
    /// <exception cref="ArgumentException">It is no name, or the mode wants to write and the access does not.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">There is such a file (<see cref="FileMode.CreateNew"/>), no room, or the disk failed.</exception>
    /// <exception cref="ObjectDisposedException">The directory is disposed.</exception>
    public SimulatedFile OpenFile(string name, FileMode mode, FileAccess access = FileAccess.ReadWrite)
    {
        CheckOpen(name, mode, access);
        return OpenAsync(name, mode, access, isAsync: false).AsTask().GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="OpenFile"/>
    public Task<SimulatedFile> OpenFileAsync(string name, FileMode mode, FileAccess access = FileAccess.ReadWrite)
    {
        CheckOpen(name, mode, access);
        return OpenAsync(name, mode, access, isAsync: true).AsTask();
    }

    /// <summary>Gives a file another name. If another file has it, that one has none from the same moment on.</summary>
    /// <param name="from">The name that it has.</param>
    /// <param name="to">The name that it will have.</param>
    /// <exception cref="ArgumentException">It is no name.</exception>
    /// <exception cref="FileNotFoundException">There is no file <paramref name="from"/>.</exception>
    /// <exception cref="IOException">There is no room, or the disk failed; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The directory is disposed.</exception>
    public void Rename(string from, string to)
    {
        CheckRename(from, to);
        RenameAsync(from, to, isAsync: false).AsTask().GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="Rename"/>
    public Task RenameAsync(string from, string to)
    {
        CheckRename(from, to);
        return RenameAsync(from, to, isAsync: true).AsTask();
    }

    /// <summary>Takes a file its name. Streams that are open go on.</summary>
    /// <param name="name">A file's name.</param>
    /// <returns>Whether there was such a file.</returns>
    /// <exception cref="ArgumentException">It is no name.</exception>
    /// <exception cref="IOException">The disk failed; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The directory is disposed.</exception>
    public bool Delete(string name)
    {
        CheckName(name);
        return DeleteAsync(name, isAsync: false).AsTask().GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="Delete"/>
    public Task<bool> DeleteAsync(string name)
    {
        CheckName(name);
        return DeleteAsync(name, isAsync: true).AsTask();
    }

    /// <summary>
    /// Makes all names durable: those that files have, and that others are gone. It is what fsync does on a directory; files' content is not
    /// its business.
    /// </summary>
    /// <exception cref="BlockIOException">The disk failed; what is durable is unknown, and the next call tries again.</exception>
    /// <exception cref="ObjectDisposedException">The directory is disposed.</exception>
    public void Sync() => SyncAsync(isAsync: false).AsTask().GetAwaiter().GetResult();

    /// <inheritdoc cref="Sync"/>
    public Task SyncAsync() => SyncAsync(isAsync: true).AsTask();

    /// <summary>
    /// Forgets what the page cache has of files and no sync would write any more: reads go to the disk again. What a failed write left in the
    /// cache alone is gone.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The directory is disposed.</exception>
    public void DropCache() => DropCacheAsync(isAsync: false).AsTask().GetAwaiter().GetResult();

    /// <inheritdoc cref="DropCache"/>
    public Task DropCacheAsync() => DropCacheAsync(isAsync: true).AsTask();

    /// <summary>Waits for the operations before, and forgets files that were closed meanwhile.</summary>
    internal async ValueTask EnterAsync(bool isAsync)
    {
        await _gate.EnterAsync(isAsync).ConfigureAwait(false);
        while (_closed.TryDequeue(out FileNode? node))
        {
            node.Handles--;
            _store.Forget(node);
        }

        if (_isDisposed)
        {
            _gate.Exit();
            throw new ObjectDisposedException(nameof(SimulatedDirectory));
        }
    }

    internal void Exit() => _gate.Exit();

    internal void Close(FileNode node) => _closed.Enqueue(node);

    private static void CheckOpen(string name, FileMode mode, FileAccess access)
    {
        CheckName(name);
        if (mode is < FileMode.CreateNew or > FileMode.Append)
        {
            throw new ArgumentOutOfRangeException(nameof(mode), mode, "There is no such mode.");
        }

        if (access is < FileAccess.Read or > FileAccess.ReadWrite)
        {
            throw new ArgumentOutOfRangeException(nameof(access), access, "There is no such access.");
        }

        if (mode == FileMode.Append ? access != FileAccess.Write : (access & FileAccess.Write) == 0 && mode is not (FileMode.Open or FileMode.OpenOrCreate))
        {
            throw new ArgumentException($"{nameof(FileMode)}.{mode} with {nameof(FileAccess)}.{access} is a contradiction.", nameof(access));
        }
    }

    private static void CheckRename(string from, string to)
    {
        CheckName(from);
        CheckName(to);
    }

    private async ValueTask<SimulatedFile> OpenAsync(string name, FileMode mode, FileAccess access, bool isAsync)
    {
        await EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            FileNode node;
            if (!_store.Names.TryGetValue(name, out FileName file))
            {
                if (mode is FileMode.Open or FileMode.Truncate)
                {
                    throw Missing(name);
                }

                node = await _store.CreateAsync(name, isAsync).ConfigureAwait(false);
            }
            else if (mode == FileMode.CreateNew)
            {
                throw new IOException($"The file \"{name}\" already exists.");
            }
            else
            {
                node = file.Node;
                if (mode is FileMode.Create or FileMode.Truncate)
                {
                    await _store.SetLengthAsync(node, 0, isAsync).ConfigureAwait(false);
                }
            }

            node.Handles++;
            return new SimulatedFile(this, node, name, mode, access);
        }
        finally
        {
            Exit();
        }
    }

    private async ValueTask RenameAsync(string from, string to, bool isAsync)
    {
        await EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            if (!_store.Names.ContainsKey(from))
            {
                throw Missing(from);
            }

            if (from != to)
            {
                await _store.RenameAsync(from, to, isAsync).ConfigureAwait(false);
            }
        }
        finally
        {
            Exit();
        }
    }

    private async ValueTask<bool> DeleteAsync(string name, bool isAsync)
    {
        await EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            if (!_store.Names.ContainsKey(name))
            {
                return false;
            }

            await _store.DeleteAsync(name, isAsync).ConfigureAwait(false);
            return true;
        }
        finally
        {
            Exit();
        }
    }

    private async ValueTask SyncAsync(bool isAsync)
    {
        await EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            await _store.SyncNamesAsync(isAsync).ConfigureAwait(false);
        }
        finally
        {
            Exit();
        }
    }

    private async ValueTask DropCacheAsync(bool isAsync)
    {
        await EnterAsync(isAsync).ConfigureAwait(false);
        foreach (FileName file in _store.Names.Values)
        {
            FileStore.DropCache(file.Node);
        }

        Exit();
    }

    private static FileNotFoundException Missing(string name) => new($"There is no file \"{name}\" in the simulated directory.", name);
}
